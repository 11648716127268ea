// Package packtest makes packages for a test.
//
// In: names such as agent:amd64.deb, and the version that they are to have. Out: files in a folder of the test.
// It guarantees that they are made as make packages makes them; the compiler's cache makes the second time quick.
// It needs git and a checkout; without, the test is skipped by name.
package packtest
