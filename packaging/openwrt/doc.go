// Package openwrt holds what makes a service of OpenWrt out of the agent: the init script for procd, UCI's configuration, the package's scripts.
//
// In: /etc/config/nabz-agent. Out: /etc/nabz/agent.local.toml, which the agent reads beside agent.toml, and the agent under procd.
// It guarantees that each key of the agent can be set by UCI, with the right type, and that a mistake there is told with its line and leaves what was
// in force as it is. The file is written only when it changes, as flash wears out; after a power cut in between the next start writes it anew.
// In preinst whoever makes a package writes the processor's name (mips, mipsle, arm, aarch64) in the place of @TARGET@.
package openwrt
