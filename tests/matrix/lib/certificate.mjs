// A certificate for 127.0.0.1, by an authority that lives as long as the tests.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** Makes one in `folder`. `trust` is the environment in which all the clients believe the authority. */
export function makeCertificate(folder) {
  const file = (name) => path.join(folder, name);
  const [ca, caKey, certificate, key] = ['ca.pem', 'ca.key', 'server.pem', 'server.key'].map(file);
  const make = (name, out, keyOut, ...more) => execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', `/CN=${name}`, '-out', out, '-keyout', keyOut, ...more,
  ], { stdio: 'pipe' });
  make('sse-proxy tests', ca, caKey);
  make('127.0.0.1', certificate, key, '-CA', ca, '-CAkey', caKey,
    '-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE');
  const trust = {
    NODE_EXTRA_CA_CERTS: ca, // Node
    SSL_CERT_FILE: ca, // OpenSSL, httpx, Rust
    REQUESTS_CA_BUNDLE: ca, // requests
    CURL_CA_BUNDLE: ca, // curl
  };
  return { certificate, key, trust };
}
