package telemetry

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFieldsOfANewerAgentCostNothingButThemselves(t *testing.T) {
	const head = `batch seq=17i,boot="4f2a9c1b",clock="synced"`
	for _, tt := range []struct{ name, line, good, why string }{
		{"in the header", head + `,mesh_hops=3i 1763900000000`, head + ` 1763900000000`, `field "mesh_hops" is not known here`},
		{"in a span", `span,state=up ms=60000i,err_ms=0i,sky="clear" 1763900000000`, `span,state=up ms=60000i,err_ms=0i 1763900000000`, `field "sky"`},
		{"first of a line", `host gpu_pct=3,load1=0.5 1763900000000`, `host load1=0.5 1763900000000`, `field "gpu_pct"`},
		{"nothing else", `host gpu_pct=3 1763900000000`, ``, `unknown field "gpu_pct"`},
		{"beside one out of bounds", `host cpu_pct=101,gpu_pct=3 1763900000000`, ``, `outside 0 to 100`},
		{"without one that must be there", `span,state=up ms=60000i,sky="clear" 1763900000000`, ``, `a required field is missing (err_ms)`},
		{"a measurement", `mesh hops=3i 1763900000000`, ``, `measurement "mesh" is not in the schema`},
		{"a tag, which would make two series one", `host,core=1 cpu_pct=3 1763900000000`, ``, `unknown tag "core"`},
		{"a state, which figures would not count", `span,state=asleep ms=60000i,err_ms=0i 1763900000000`, ``, `state="asleep" is none of`},
		{"a cause", `span,cause=fuel,state=off ms=60000i,err_ms=0i 1763900000000`, ``, `cause="fuel" is none of`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const before, after = "link,target=internet sent=1i,lost=0i 1763900000000", "clients wifi_stations=3i 1763900000000"
			good, bad, err := Parse([]byte(before + "\n" + tt.line + "\n" + after + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, p := range good {
				texts = append(texts, string(p.Raw))
			}
			want := before + "|" + tt.good + "|" + after
			if tt.good == "" {
				want = before + "|" + after
			}
			if got := strings.Join(texts, "|"); got != want {
				t.Errorf("stored\n got %s\nwant %s", got, want)
			}
			if len(bad) != 1 || bad[0].Number != 2 || string(bad[0].Raw) != tt.line || !strings.Contains(bad[0].Err.Error(), tt.why) {
				t.Errorf("kept %+v, want the whole line because of %q", bad, tt.why)
			}
			if kept := tt.good != ""; errors.Is(bad[0].Err, ErrNewer) != kept {
				t.Errorf("%v: that it is of a newer agent should be %v", bad[0].Err, kept)
			}
		})
	}
}

func TestWordsOfANewerPeerArePassedOver(t *testing.T) {
	header := func(rest string) (Header, error) {
		l, err := ParseLine([]byte(`batch seq=17i,boot="4f2a9c1b",` + rest + ` 1763900000000`))
		if err != nil {
			t.Fatal(err)
		}
		return HeaderOf(&l)
	}
	for _, tt := range []struct {
		rest string
		want Header
		bad  bool
	}{
		{rest: `clock="gps"`, want: Header{Clock: ClockEstimated}},
		{rest: `clock="synced",open_state="asleep",open_ms=5i`, want: Header{Clock: ClockSynced}},
		{rest: `clock="synced",open_state="off",open_cause="fuel",open_ms=5i`, want: Header{Clock: ClockSynced}},
		{rest: `clock="synced",open_state="off",open_cause="power",open_ms=5i`, want: Header{Clock: ClockSynced, Open: OpenSpan{StateOff, CausePower, 5 * time.Millisecond}}},
		{rest: `clock="synced",open_state="up",open_cause="power",open_ms=5i`, bad: true}, // both are known, and do not go together
		{rest: `clock="7"`, bad: true},
		{rest: `clock=""`, bad: true},
	} {
		h, err := header(tt.rest)
		if tt.want.Seq, tt.want.Boot, tt.want.At = 17, "4f2a9c1b", noon; (err != nil) != tt.bad || err == nil && h != tt.want {
			t.Errorf("%s is read as %+v, %v", tt.rest, h, err)
		}
	}

	a, err := ParseAck([]byte("stored 4f2a9c1b 17 1763900000000 last=1763899940000,off,fuel,23000 contract=9 why=a b"))
	if err != nil || a.Seq != 17 || a.Last != nil || a.Why != "a b" {
		t.Errorf("an acknowledgement of a newer collector is read as %+v, %v", a, err)
	}
	if a, err := ParseAck([]byte("stored 4f2a9c1b 17 1763900000000 last=1763899940000,up,power,23000")); err == nil {
		t.Errorf("a state and a cause that do not go together are read as %+v", a.Last)
	}
	if p, err := ParsePresence([]byte("online 17 contract=9 roaming")); err != nil || p != (Presence{true, 17}) {
		t.Errorf("presence of a newer agent is read as %+v, %v", p, err)
	}
}

func TestAnAgentSaysWhatItIsInItsBootEvent(t *testing.T) {
	p := Program{Version: "0.7.0 (161f83a50a8f)", System: "linux/mipsle", Contract: Contract}
	if got := ProgramOf(p.BootDetail("boot 4f2a9c1b, asks by icmp")); got != p {
		t.Errorf("got %+v, want %+v", got, p)
	}
	for detail, want := range map[string]Program{
		"nabz-agent v0.0.0-20261128030059-161f83a50a8f on linux/mipsle, boot 4f2a9c1b, asks by icmp": {"v0.0.0-20261128030059-161f83a50a8f", "linux/mipsle", 1},
		"nabz-agent devel on linux/amd64, boot 4f2a9c1b, asks by icmp":                               {"devel", "linux/amd64", 1},
		"nabz-agent 9.0.0 on linux/arm, contract 7, mesh, boot 4f2a9c1b":                             {"9.0.0", "linux/arm", 7},
		"nabz-agent 9.0.0 on linux/arm, contract seven, boot 4f2a9c1b":                               {"9.0.0", "linux/arm", 1},
		"machine started after a power cut":                                                          {},
		"nabz-agent ":                                                                                {},
		"nabz-agent  on linux/arm, x":                                                                {},
		"nabz-agent " + strings.Repeat("9", 65) + " on linux/arm, x":                                 {},
	} {
		if got := ProgramOf(detail); got != want {
			t.Errorf("%q is read as %+v, want %+v", detail, got, want)
		}
	}
}
