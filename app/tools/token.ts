/** Prints a token: node app/tools/token.ts --name alice [--sub id] [--rooms a,b] [--ttl 1h]. Signs with JWT_SECRET. */
import { parseArgs } from 'node:util';
import ms from 'ms';
import { signToken } from './lib/signer.ts';

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    sub: { type: 'string' },
    rooms: { type: 'string' },
    ttl: { type: 'string', default: '1h' },
  },
});
const ttl = ms(values.ttl as ms.StringValue);
if (!values.name || !(ttl > 0)) {
  console.error('usage: token.ts --name alice [--sub id] [--rooms a,b] [--ttl 30s|10m|1h|7d]');
  process.exit(64);
}
const rooms = values.rooms?.split(',').filter((room) => room !== '');
console.log(signToken({ userId: values.sub ?? values.name, username: values.name, rooms }, ttl));
