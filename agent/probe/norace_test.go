//go:build !race

package probe

const raceOn = false
