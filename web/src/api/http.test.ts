import { expect, it } from 'vitest';
import { parseExact, writeExact } from './http.ts';

it('keeps the digits of amounts that a number cannot hold', () => {
  expect(parseExact('{"a":9007199254740993,"b":[1840000000,-9007199254740995],"c":"9007199254740993","d":1.5e20,"e":"\\"12345678901234567890"}')).toEqual({
    a: '9007199254740993', b: [1840000000, '-9007199254740995'], c: '9007199254740993', d: 1.5e20, e: '"12345678901234567890',
  });
});

it('writes a bigint as a number', () => {
  expect(writeExact({ hard: 9007199254740993n, text: '\u00001\u0000', soft: 5 })).toBe('{"hard":9007199254740993,"text":"\\u00001\\u0000","soft":5}');
});
