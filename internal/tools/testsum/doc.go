// Command testsum runs "go test" with the arguments given and sums up what happened.
//
// In: the events of go test -json. Out: a line for each package, the whole output of each test that failed, the
// reason of each that was skipped, and last "N passed, N failed, N skipped".
// It guarantees that whatever go test holds against the code is shown and ends with status 1, a package that does
// not build or breaks off included. A test with subtests is counted through them. It keeps nothing.
package main
