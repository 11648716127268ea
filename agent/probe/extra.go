package probe

import "time"

// extra is what may be spent beyond the schedule: a token bucket that holds a day's worth.
type extra struct {
	perHour int
	left    float64
	at      time.Time
}

const extraHours = 24

// How full the bucket must be for each use, as a share. A link that is used in one direction only is most likely cut; a lull
// of both is most often a villager who reads.
const (
	forOneWay  = 0
	forLull    = 0.25
	forSilence = 0.5
	forConfirm = 0.25
)

func newExtra(perHour int, now time.Time) extra {
	return extra{perHour: perHour, left: float64(perHour * extraHours), at: now}
}

// take spends n when the bucket would still be fuller than the share after it.
func (e *extra) take(n int, share float64, now time.Time) bool {
	full := float64(e.perHour * extraHours)
	e.left = min(full, e.left+float64(e.perHour)*now.Sub(e.at).Hours())
	e.at = now
	if e.left-float64(n) < share*full || n > 0 && full == 0 {
		return false
	}
	e.left -= float64(n)
	return true
}
