// Package packaging makes what is installed: Debian packages of agent and collector, OpenWrt packages of the agent.
//
// In: a clean tree, its commit, the programs that scripts/ build, units, manual pages, maintainer scripts.
// Out: .deb and .ipk files, a list of what each holds of others (CycloneDX), their SHA-256.
// It guarantees that the same commit and compiler make the same bytes, and that each package carries the licence of all
// that was linked into its program: a module without a licence that is known stops the build.
package packaging
