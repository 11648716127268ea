// Package packtest holds a folder of third_party/ to the packages that it came from.
//
// In: a packages.toml and the files as they are embedded. Out: a failed test that names each file that is missing, too much or changed.
// It guarantees that a folder whose tests pass has every pinned file, byte for byte as published, each package's licence, and nothing
// else. Without npm or its registry the comparison with the packages is skipped by name. It writes nothing.
package packtest
