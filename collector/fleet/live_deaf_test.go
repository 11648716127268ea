package fleet

import (
	"testing"
	"time"
)

func TestTheCollectorsOwnDeafnessMakesNobodyUnreachable(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(0))
	v.now = told.Add(60 * time.Second)
	v.deaf = true
	v.want(Up, "", told)
	v.now = told.Add(time.Hour)
	v.want(Up, "", told)
	v.deaf = false
	v.want(Up, "", told)
	v.now = v.now.Add(90 * time.Second) // as long as ever: it may have lost its connection meanwhile
	v.want(Up, "", told)
	v.now = v.now.Add(time.Second)
	v.want(Unreachable, "", told)
}

func TestAShortDeafnessGivesNoTimeAnew(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(0))
	for n := range 5 { // an InfluxDB that hiccups again and again must not hide a village that is gone
		v.now = told.Add(time.Duration(n+1)*17*time.Second + time.Duration(n)*10*time.Second)
		v.deaf = true
		v.want(Up, "", told)
		v.now = v.now.Add(10 * time.Second)
		v.deaf = false
		v.want(Up, "", told)
	}
	v.now = v.now.Add(5 * time.Second)
	v.want(Up, "", told)
	v.now = v.now.Add(time.Second)
	v.want(Unreachable, "", told)
}

func TestASiteThatWasUnreachableBeforeTheCollectorWentDeafStaysSo(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(0))
	v.now = told.Add(2 * time.Minute)
	v.want(Unreachable, "", told)
	v.deaf = true
	v.live.Sites()
	v.now = v.now.Add(time.Hour)
	v.want(Unreachable, "", told)
	v.deaf = false
	v.want(Unreachable, "", told)
}
