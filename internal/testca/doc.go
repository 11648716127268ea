// Package testca is a certificate authority for tests: a programme's own, as real as any, for as long as a test runs.
//
// In: the addresses of a server. Out: its certificate, and the authority's as a file. It keeps nothing but what it writes
// into the test's folder.
package testca
