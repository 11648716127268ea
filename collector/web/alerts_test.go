package web

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/alert"
)

func TestADeliveryOfANoticeLeadsToNoAlert(t *testing.T) {
	now := time.Date(2026, 11, 3, 6, 0, 0, 0, time.UTC)
	r := newDeliveryRow(alert.Delivery{At: now, Alert: "report-2026-10", Channel: "lead", What: alert.Noticed, Attempt: 1}, now)
	if r.What != "notice report-2026-10" || r.Alert != "" || r.Channel != "lead" {
		t.Errorf("the row is %+v", r)
	}
}
