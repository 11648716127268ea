package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// TestAnAgentThatIsNewerLosesNothingAndCostsNobody has an agent send fields, tags and measurements that this collector does not know, in the header too.
func TestAnAgentThatIsNewerLosesNothingAndCostsNobody(t *testing.T) {
	i, w, reg := start(t, nil)
	at := now.Add(-time.Minute)
	head := strings.Replace(header(1, "4f2a9c1b"), `clock="synced"`, `clock="synced",mesh_hops=3i`, 1)
	newField := strings.Replace(host(at), "uptime_s=1i", "uptime_s=1i,gpu_pct=7", 1)
	newTag := strings.Replace(host(at.Add(time.Second)), "host ", "host,core=1 ", 1)
	newMeasurement := strings.Replace(host(at.Add(2*time.Second)), "host ", "mesh ", 1)
	known := host(at.Add(3 * time.Second))
	if !strings.Contains(head, "mesh_hops") {
		t.Fatal(head)
	}
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(head+newField+newTag+newMeasurement+known))
	a := w.next(t)
	if a.Verdict != telemetry.Stored || a.Seq != 1 || a.Refused != 2 || !strings.Contains(a.Why, `unknown tag "core"`) {
		t.Errorf("got %+v, want stored, with the tag and the measurement refused", a)
	}
	w.mu.Lock()
	stored := w.texts[telemetry.Detail]
	w.mu.Unlock()
	for _, want := range []string{"batch,agent=clinic,site=", "host,agent=clinic,site=mbarara uptime_s=1i"} {
		if !strings.Contains(stored, want) {
			t.Errorf("stored lacks %q:\n%s", want, stored)
		}
	}
	if n := strings.Count(stored, "\n"); n != 3 || strings.Contains(stored, "mesh") || strings.Contains(stored, "gpu_pct") || strings.Contains(stored, "core") {
		t.Errorf("%d lines are stored, want header and two of host with what is known here:\n%s", n, stored)
	}
	kept := map[string]string{}
	for _, l := range letters(t, i) {
		kept[string(l.Payload)+"\n"] = l.Reason
	}
	for line, why := range map[string]string{head: `field "mesh_hops" is not known here`, newField: `field "gpu_pct" is not known here`, newTag: "unknown tag", newMeasurement: "is not in the schema"} {
		if !strings.Contains(kept[line], why) {
			t.Errorf("%s is kept because of %q, want %q", line, kept[line], why)
		}
	}
	if n := value(t, reg, "nabz_intake_refused_total", "newer"); n != 2 {
		t.Errorf("%v lines are counted as of a newer agent, want 2", n)
	}

	// What is only more than is known here is not told to the agent, nor sooner than it asks: it costs no village a byte.
	head = strings.Replace(header(2, "4f2a9c1b"), `clock="synced"`, `clock="synced",mesh_hops=3i`, 1)
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(head+host(at.Add(time.Minute))))
	if a := w.next(t); a.Verdict != telemetry.Stored || a.Refused != 0 || a.Why != "" {
		t.Errorf("got %+v, want stored and no more", a)
	}
}
