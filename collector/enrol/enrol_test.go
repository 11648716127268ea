package enrol

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

var (
	clinic = telemetry.Address{Site: "gokina", Agent: "main"}
	noon   = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

// office is a server with a register of one site.
type office struct {
	t       *testing.T
	metrics *prometheus.Registry
	*Server
	register *fleet.Registry
	now      time.Time
	token    telemetry.Enrolment
}

func open(t *testing.T, c Config) *office {
	t.Helper()
	dir := t.TempDir()
	o := &office{t: t, now: noon, metrics: prometheus.NewRegistry()}
	var err error
	if o.register, err = fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml")); err != nil {
		t.Fatal(err)
	}
	if err = o.register.AddSite(fleet.Site{ID: "gokina", TimeZone: "Asia/Karachi"}); err != nil {
		t.Fatal(err)
	}
	if o.token, err = telemetry.NewEnrolment(clinic, "https://noc.example.org:8443", [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err = o.register.Invite([]telemetry.Enrolment{o.token}, noon.Add(time.Hour), false); err != nil {
		t.Fatal(err)
	}
	if c.Brokers == nil {
		c.Brokers = []string{"mqtts://noc.example.org:8883"}
	}
	if o.Server, err = New(c, Parts{Registry: o.register, Metrics: o.metrics, Now: func() time.Time { return o.now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}); err != nil {
		t.Fatal(err)
	}
	return o
}

// counted is a metric as /metrics shows it.
func (o *office) counted(outcome string) float64 {
	o.t.Helper()
	families, err := o.metrics.Gather()
	if err != nil {
		o.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// post sends a body in the name of a host.
func (o *office) post(host, body string) *http.Response {
	o.t.Helper()
	r := httptest.NewRequest(http.MethodPost, telemetry.EnrolPath, strings.NewReader(body))
	r.RemoteAddr = host + ":40000"
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Result()
}

func (o *office) ask(host string, q telemetry.EnrolRequest) (status int, text string) {
	o.t.Helper()
	body, err := json.Marshal(q)
	if err != nil {
		o.t.Fatal(err)
	}
	res := o.post(host, string(body))
	b, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestARouterGetsItsConfigurationForItsToken(t *testing.T) {
	template := filepath.Join(t.TempDir(), "template.toml")
	if err := os.WriteFile(template, []byte("log_level = \"warn\"\n[probe]\nanchors = [\"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\"]\n[speedtest]\nper_day = 2.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := open(t, Config{Profile: "metered", CA: "the authority", SpeedServer: "https://noc.example.org:8443", Template: template})
	for range 2 { // the first answer was lost
		status, text := o.ask("192.0.2.7", o.token.Request("s3cret"))
		var got telemetry.EnrolAnswer
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 {
			t.Fatalf("status %d: %s", status, text)
		}
		want := `agent = "main"
brokers = ["mqtts://noc.example.org:8883"]
log_level = "warn"
profile = "metered"
site = "gokina"
time_zone = "+05:00"

[probe]
anchors = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]

[speedtest]
per_day = 2.0
server = "https://noc.example.org:8443"
`
		if got.Config != want || got.CA != "the authority" {
			t.Errorf("got %s and %q\nwant %s", got.Config, got.CA, want)
		}
	}
	if got := o.register.Verifiers(); len(got) != 1 || got[0].Mosquitto != telemetry.MosquittoVerifier("s3cret") {
		t.Errorf("for a Mosquitto %v was kept", got)
	}
	if !o.register.Authenticate(clinic, "s3cret") {
		t.Error("the agent cannot sign in")
	}
}

func TestWhoIsRefusedHearsWhyAndWhatToDo(t *testing.T) {
	o := open(t, Config{})
	strange := o.token
	strange.Word[0]++
	nowhere := o.token
	nowhere.Address.Site = "nowhere"
	late, err := telemetry.NewEnrolment(telemetry.Address{Site: "gokina", Agent: "school"}, "https://noc.example.org:8443", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.register.Invite([]telemetry.Enrolment{late}, noon.Add(time.Hour), false); err != nil {
		t.Fatal(err)
	}
	const next = "; have the NOC make a new one: nabz-collector agent add gokina/main, or agent rotate gokina/main for one that was enrolled before\n"
	rows := []struct {
		what   string
		token  telemetry.Enrolment
		secret string
		at     time.Time
		status int
		want   string
	}{
		{"a word that was never made", strange, "a", noon, 401, "this token is not known here: a newer one was made, or its site was taken out" + next},
		{"a site that is not there", nowhere, "a", noon, 401, strings.ReplaceAll("this token is not known here: a newer one was made, or its site was taken out"+next, "gokina", "nowhere")},
		{"in time", o.token, "a", noon.Add(3 * time.Minute), 200, ""},
		{"somebody else, afterwards", o.token, "b", noon.Add(6 * time.Minute), 409, "this token was used already" + next},
		{"too late", late, "a", noon.Add(2 * time.Hour), 410, strings.ReplaceAll("this token has expired"+next, "main", "school")},
	}
	for _, r := range rows {
		o.now = r.at
		if status, text := o.ask("192.0.2.7", r.token.Request(r.secret)); status != r.status || r.want != "" && text != r.want {
			t.Errorf("%s: got %d %s want %d %s", r.what, status, text, r.status, r.want)
		}
	}
	for outcome, want := range map[string]float64{"enrolled": 1, "unknown": 2, "expired": 1, "used": 1} {
		if got := o.counted(outcome); got != want {
			t.Errorf("counted %v times %s, want %v", got, outcome, want)
		}
	}
}

func TestAFaultAtTheNOCUsesNoTokenUp(t *testing.T) {
	template := filepath.Join(t.TempDir(), "template.toml")
	write := func(text string) {
		if err := os.WriteFile(template, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	o := open(t, Config{Template: template})
	write("log_level = \n")
	if status, text := o.ask("192.0.2.7", o.token.Request("a")); status != 500 || strings.Contains(text, "template") {
		t.Errorf("got %d %s, want 500 without what is in the file", status, text)
	}
	write("")
	if status, text := o.ask("192.0.2.7", o.token.Request("another")); status != 200 {
		t.Errorf("after it was mended: got %d %s", status, text)
	}
}

func TestATemplateMaySetNothingThatIsEachAgentsOwn(t *testing.T) {
	template := filepath.Join(t.TempDir(), "template.toml")
	for _, key := range ownKeys {
		if err := os.WriteFile(template, []byte(key+" = \"x\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("agents.config_file: %s sets %q, which each agent has for itself; take it out", template, key)
		if _, err := New(Config{Template: template}, Parts{}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWordsCannotBeTriedAsOftenAsOneLikes(t *testing.T) {
	o := open(t, Config{})
	strange := o.token
	strange.Word[0]++
	refused := 0
	for range 100 {
		if status, _ := o.ask("192.0.2.66", strange.Request("a")); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if want := 100 - rates.Pair.Burst; refused != want {
		t.Errorf("%d of 100 tries at once were turned away, want %d", refused, want)
	}
	if status, text := o.ask("192.0.2.7", o.token.Request("a")); status != 200 {
		t.Errorf("another host is turned away, too: %d %s", status, text)
	}
}

func FuzzServe(f *testing.F) {
	f.Add(`{"address":"gokina/main","word":"00","secret_sha256":"00"}`)
	f.Add(`{"address":"gokina/main"`)
	f.Add("")
	f.Add(strings.Repeat("[", 5000))
	f.Fuzz(func(t *testing.T, body string) {
		o := open(t, Config{})
		if res := o.post("192.0.2.7", body); res.StatusCode == 200 || res.StatusCode >= 500 {
			t.Errorf("%q: status %d", body, res.StatusCode)
		}
	})
}

func TestATimeZoneIsToldAsARouterUnderstandsIt(t *testing.T) {
	for name, want := range map[string]string{"Asia/Karachi": "+05:00", "Asia/Kathmandu": "+05:45", "UTC": "+00:00", "": "", "Europe/Berlin": "", "America/Bogota": "-05:00", "no/such": ""} {
		if got := routerZone(name, noon); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
