# make help lists the targets. What follows a target is given to its command: make up INSTANCES=5 TLS=true

.DEFAULT_GOAL := help
CLUSTER := sh deploy/cluster

## help: list the targets
help:
	@sed -n 's/^## \([a-z-]*\): /\1 /p' $(firstword $(MAKEFILE_LIST)) | \
	  while read -r target text; do printf '  make %-18s%s\n' "$$target" "$$text"; done

## up: start the cluster, or repair it ([DRIVER=native|compose] [INSTANCES=3] and what .env.example lists)
up:
	@$(CLUSTER)/up.sh

## down: stop the cluster; its data stays
down:
	@$(CLUSTER)/down.sh

## status: what runs, in a table ([JSON=1])
status:
	@$(CLUSTER)/status.sh

## ps: the same as status
ps: status

## top: the instances live, and what happened last
top:
	@$(CLUSTER)/top.sh

## logs: what the parts write, readable ([INSTANCE=app2] [LEVEL=warn] [SINCE=10m] [FOLLOW=0])
logs:
	@$(CLUSTER)/logs.sh

## trace: follow one message through the cluster (ROOM=lobby [WAIT=30s])
trace:
	@$(CLUSTER)/trace.sh

## token: print a token (NAME=alice [ROOMS=a,b] [TTL=1h])
token:
	@$(CLUSTER)/token.sh

## demo: open the demo page, or print its URL
demo:
	@$(CLUSTER)/demo.sh

## rolling-restart: deploy: replace one instance after the other, refusing nobody
rolling-restart:
	@$(CLUSTER)/roll.sh

## rebalance: even out the connections over the instances, losing nothing
rebalance:
	@$(CLUSTER)/rebalance.sh

## scale: change the number of instances (N=5, 1 to 16)
scale:
	@$(CLUSTER)/scale.sh

## kill: kill an instance, to see what happens (INSTANCE=app2 [SIGNAL=KILL])
kill:
	@$(CLUSTER)/kill.sh

## loadtest: prove what is delivered while all is restarted ([SCRIPT=rolling] [CLIENTS=300] ...; HELP=1 lists them all)
loadtest:
	@$(CLUSTER)/loadtest.sh
loadtest-%:
	@SCRIPT=$* $(CLUSTER)/loadtest.sh

## loadtest-compare: two runs side by side (A=loadtest/out/ONE.json B=loadtest/out/OTHER.json)
loadtest-compare: install
	@npm run --silent loadtest:compare -- $${A:+"$$A"} $${B:+"$$B"}

## doctor: is this machine set up for so many connections? (CONNECTIONS=10000)
doctor:
	@sh deploy/cluster/doctor.sh

## dev: one instance without Redis or Docker, restarted on change, with a token to use
dev: install
	@npm run --silent dev

## dashboards: make Grafana's dashboards and the console page from deploy/dashboards/panels.ts
dashboards: install
	@npm run --silent dashboards

## test: lint, types, and all suites
test: install
	@sh deploy/cluster/install.sh nginx redis-server prometheus chromium
	@npm test --silent

## bench: what parts of the app cost, side by side; figures of this machine ([CASE=metrics|joins|wave|scripts])
bench: install
	@npm run --silent bench -- $(CASE)

## test-faults: break a cluster in every way, and count what was lost ([SCENARIO=2] [SEED=1])
test-faults: install
	@sh deploy/cluster/install.sh nginx redis-server
	@npm run --silent test:faults

## lint: format, lint, dependency rules
lint: install
	@npm run --silent lint

## format: put the sources into shape
format: install
	@npm run --silent format

## clean: stop the cluster and remove its data, logs and image
clean:
	@CLEAN=1 $(CLUSTER)/down.sh

install:
	@$(CLUSTER)/packages.sh

# All are commands, none is a file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))
