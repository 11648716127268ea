// Command packages makes the packages of this tree: packages [-version V] [-out DIR] [NAME …].
//
// In: names such as agent:amd64.deb, none for all. Out: the files in bin/packages, their SHA256SUMS, a table of sizes.
// It guarantees what packaging does: the same commit, the same bytes.
// It is a tool of the build and is in no package.
package main
