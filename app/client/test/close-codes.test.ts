import { expect, it } from 'vitest';
import * as server from '../../src/close-codes.ts';
import * as serverProtocol from '../../src/protocol.ts';
import { comebackAfter, comebacks } from '../src/close-codes.ts';
import * as protocol from '../src/protocol.ts';

it('has the server’s close codes, all and no others', () => {
  const theirs = Object.fromEntries(Object.values(server.closeCodes).map(({ code, comeback }) => [code, comeback]));
  expect(comebacks).toEqual(theirs);
});

it('decides like the server for every code there can be', () => {
  for (let code = 1_000; code < 5_000; code += 1)
    expect([code, comebackAfter(code)]).toEqual([code, server.comebackAfter(code)]);
});

it('has the server’s names for protocol, token and reserved rooms', () => {
  const { SUBPROTOCOL, TOKEN_PROTOCOL_PREFIX, ROOM_ALL, ROOM_ME } = serverProtocol;
  expect(protocol).toMatchObject({ SUBPROTOCOL, TOKEN_PROTOCOL_PREFIX, ROOM_ALL, ROOM_ME });
});
