# make help lists the targets. NAME=VALUE after a target overrides a setting: make up INSTANCES=5 TLS=true

.DEFAULT_GOAL := help
CLUSTER := sh deploy/cluster/commands

## help: list the targets
help:
	@sed -n 's/^## \([a-z-]*\): /\1 /p' $(firstword $(MAKEFILE_LIST)) | \
	  while read -r target text; do printf '  make %-18s%s\n' "$$target" "$$text"; done

## up: start or repair the cluster ([DRIVER=native|compose] [INSTANCES=3] and every setting of .env.example)
up:
	@$(CLUSTER)/up.sh

## down: stop the cluster, keep its data
down:
	@$(CLUSTER)/down.sh

## status: show all services in a table ([JSON=1])
status:
	@$(CLUSTER)/status.sh

## ps: same as status
ps: status

## top: watch the instances live, with the latest events
top:
	@$(CLUSTER)/top.sh

## logs: show the logs of all services ([INSTANCE=app2] [LEVEL=warn] [SINCE=10m] [FOLLOW=0])
logs:
	@$(CLUSTER)/logs.sh

## trace: follow one message through the cluster (ROOM=lobby [WAIT=30s])
trace:
	@$(CLUSTER)/trace.sh

## token: print a token (NAME=alice [ROOMS=a,b] [TTL=1h])
token:
	@$(CLUSTER)/token.sh

## publish: publish a message through the server API (ROOM=lobby CONTENT=hello [ID=...])
publish:
	@$(CLUSTER)/publish.sh

## demo: open the demo page, or print its URL
demo:
	@$(CLUSTER)/demo.sh

## rolling-restart: deploy: replace one instance after the other, and verify every message
rolling-restart:
	@$(CLUSTER)/rolling-restart.sh

## rotate-secret: replace JWT_SECRET in two rolling restarts; nobody is logged out
rotate-secret:
	@$(CLUSTER)/rotate-secret.sh

## rebalance: even out connections across instances
rebalance:
	@$(CLUSTER)/rebalance.sh

## scale: change the number of instances (N=5; 1 to 16)
scale:
	@$(CLUSTER)/scale.sh

## kill: crash an instance (INSTANCE=app2 [SIGNAL=KILL])
kill:
	@$(CLUSTER)/kill.sh

## loadtest: prove delivery under load while everything restarts ([SCRIPT=rolling] [CLIENTS=300] ...; HELP=1 lists all options)
loadtest:
	@$(CLUSTER)/loadtest.sh
loadtest-%:
	@SCRIPT=$* $(CLUSTER)/loadtest.sh

## loadtest-compare: compare two runs (A=loadtest/out/ONE.json B=loadtest/out/OTHER.json)
loadtest-compare: install
	@npm run --silent loadtest:compare -- $${A:+"$$A"} $${B:+"$$B"}

## doctor: check whether this machine can hold that many connections (CONNECTIONS=10000)
doctor:
	@sh deploy/cluster/commands/doctor.sh

## dev: run one instance without Redis or Docker, restart on change, print a token
dev:
	@$(CLUSTER)/dev.sh

## dashboards: generate Grafana's dashboards and the console page
dashboards: install
	@npm run --silent dashboards

## test: run lint, type checks and all test suites
test: install
	@sh deploy/cluster/lib/install.sh nginx redis-server prometheus chromium firefox-esr python3-websockets
	@npm test --silent

## test-full: the same at full size: every fault, long load tests; takes an hour or more
test-full: test test-faults
	@FULL=1 npm test --silent -- --project cluster --project loadtest

## bench: measure what parts of the app cost, side by side ([CASE=metrics|peers|connects|deliveries|joins|publishes|wave|scripts] [PEER=COMMAND])
bench: install
	@npm run --silent bench -- $(CASE)

## test-faults: break a cluster in every way and count what was lost ([SCENARIO=2] [SEED=1])
test-faults: install
	@sh deploy/cluster/lib/install.sh nginx redis-server
	@npm run --silent test:faults

## fuzz: send a million hostile messages and 200,000 hostile handshakes ([MESSAGES=] [HANDSHAKES=] [SEED=])
fuzz: install
	@sh deploy/cluster/lib/install.sh redis-server
	@npm run --silent fuzz

## lint: check format and lint rules
lint: install
	@npm run --silent lint

## format: format the sources
format: install
	@npm run --silent format

## clean: stop the cluster and remove its data, logs and image
clean:
	@CLEAN=1 $(CLUSTER)/down.sh

install:
	@sh deploy/cluster/lib/packages.sh

# No target is a file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))
