// Package deploy holds what runs a collector with all that belongs beside it: compose.yaml with its Dockerfile, and the tests of the pages that tell how it is
// done by hand, docs/debian.md and docs/operator.md.
//
// In: nothing; there is no code but tests. Out: files for Docker Compose, which builds the image of the collector from a checkout.
// It guarantees that what the pages say to type was typed, in a Debian machine that boots with systemd, and that the figures of a ledger which was
// backed up, lost and restored are the same to the byte.
// It keeps nothing.
package deploy
