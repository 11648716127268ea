// Package npmpack brings files out of published npm packages, checked against pinned hashes.
//
// In: a packages.toml. Out: the pinned files, written into one folder for each package, or the bytes themselves.
// It guarantees that nothing is handed out whose hash is not the pinned one. A file is replaced in one step, so a
// power cut leaves the old or the new one.
package npmpack
