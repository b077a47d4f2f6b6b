/** Headers that both listeners with pages send, above all what a page may load. */
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/** @param more directives of the content security policy besides the page's own origin */
export const securityHeaders = (more: Readonly<Record<string, readonly string[]>>): RequestHandler =>
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
        ...more,
      },
    },
    // TLS ends at NGINX, which sends this header.
    strictTransportSecurity: false,
  });
