// Package clock gives wall time on a router that may boot in 1970.
//
// In: the system's wall clock beside the time since boot, and the collector's clock from acknowledgements. Out: a wall time for now,
// whether it is synced or estimated, the boot id, and an event for each step.
// It guarantees that the time it hands out never runs backwards within a boot, nor begins before the last moment known
// from the boot before, so that spans cut with it are never negative and never overlap. Nothing of it is kept on disk.
//
// # What a step does
//
// A step forwards is taken at once: the time jumped over is covered by no span. A step backwards is caught up by running
// at half speed until the clocks meet, so that a minute then counts for half a minute rather than being counted twice. Once
// the collector has agreed, a step of the system's clock is not followed until the collector says so too. Each step is one
// Step from Steps, to be sent as an event of kind "clock_step".
package clock
