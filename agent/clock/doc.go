// Package clock gives wall time on a router that may boot in 1970.
//
// In: the system's wall clock beside the time since boot, the collector's clock from acknowledgements, a time server's answer where
// neither the collector nor the system's own time service has spoken. Out: a wall time for now, whether it is known and synced or only
// estimated, the boot id, and an event for each step.
// It guarantees that, once something was stamped (Bind), the time it hands out never runs backwards within a boot, so that spans cut with
// it are never negative and never overlap. Nothing of it is kept on disk; Continue takes up the time after the agent alone was started anew.
//
// # What a step does
//
// Until something was stamped every step is taken at once, back too. After that a step forwards is taken at once: the time jumped over
// is covered by no span. A step backwards is caught up by running at half speed until the clocks meet, so that a minute then counts for
// half a minute rather than being counted twice. Once the time is known, a step of the system's clock is not followed until the collector
// says so too. Each step is one Step from Steps, to be sent as an event of kind "clock_step".
package clock
