// Package authority is the programme's own certificate authority, and the certificates that the collector shows to agents.
//
// In: the names by which agents reach the collector, and PEM files. Out: an authority (ca.pem, ca.key) and a server certificate signed by
// it (server.pem, server.key), made where they are missing and renewed in time; the certificate in use, read again when its file changes.
// Files are replaced whole, the key before the certificate that needs it, so a power cut leaves a pair that works or one that the next start mends.
package authority
