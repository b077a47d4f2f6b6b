/** As k6's. */
export const exitCodes = {
  passed: 0,
  thresholdsFailed: 99,
  invalidConfig: 104,
  externalAbort: 105,
  scriptException: 107,
} as const;
