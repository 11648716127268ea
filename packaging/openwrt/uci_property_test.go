package openwrt

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/internal/conf"
)

// values are some that each key takes, beside its default.
var values = map[string][]any{
	"agent.site": {"gokina", "a-1"}, "agent.agent": {"main", "kiosk-2"}, "agent.profile": {"standard", "metered"},
	"agent.brokers": {[]string{"mqtts://noc.example.org:8883"}, []string{"mqtt://a:1", "tls://[2001:db8::1]:2"}}, "agent.secret_file": {"/etc/nabz/secret", "/a b/it's", `c:\"x"`},
	"agent.ca_file": {"", "/etc/nabz/ca.pem", "tab\there\nand a line", "نبض # ; $(x)"}, "agent.data_dir": {"/etc/nabz/data", "~"}, "agent.spool_max_bytes": {int64(65536), int64(1 << 40)},
	"agent.monthly_mb": {0.0, 3.25, 1e6}, "agent.time_zone": {"UTC", "+05:00", "PKT-5"}, "agent.log_level": {"debug", "warn"},
	"time.servers": {[]string{}, []string{"pool.ntp.org"}}, "time.trust_system": {true, false},
	"probe.method": {"icmp", "tcp"}, "probe.anchors": {[]string{}, []string{"192.0.2.1", "192.0.2.2:53", "2001:db8::1"}}, "probe.gateway": {"", "192.0.2.1"}, "probe.interface": {"", "eth0.2"},
	"probe.dns_name": {"", "example.org"}, "probe.wan_evidence": {"yes", "no"}, "probe.loss_pct": {0.0, 12.5, 100.0}, "probe.count": {1, 20}, "probe.confirm": {0, 50}, "probe.tcp_port": {1, 65535}, "probe.extra_per_hour": {0, 3600},
	"uplink.window": {1, 100}, "uplink.backlog_max_kbps": {0, 64}, "sampler.interfaces": {[]string{"eth0", "br-lan"}},
	"speedtest.server": {"", "https://noc.example.org:8443"}, "speedtest.open_server": {true}, "speedtest.per_day": {0.0, 0.5}, "speedtest.window": {"", "22:00-04:00"}, "speedtest.monthly_mb": {0.0, 50.5}, "speedtest.test_mb": {0.0, 15.0}, "speedtest.busy_share": {0.0, 1.0},
	"commands.allow": {[]string{}, []string{"diagnostics"}},
	"service.name":   {"clinic", "e-learning"}, "service.endpoint": {"", "video.example.org:443"}, "service.hours": {"", "Mo-Fr 08:00-16:00, Sa 09:00-12:00"}, "service.time_zone": {"", "+05:00"},
	"service.min_down_kbps": {1000}, "service.min_up_kbps": {500}, "service.max_rtt_ms": {300.0, 0.5}, "service.max_jitter_ms": {30.0}, "service.max_loss_pct": {2.0},
}

// lengths are those keys' own bounds allow at once.
var lengths = []conf.Duration{conf.Duration(90e9), conf.Duration(60e9)}

// quoted writes a value in one of the ways that UCI reads.
func quoted(t *rapid.T, s string) string {
	switch way := rapid.IntRange(0, 2).Draw(t, "quotes"); {
	case way == 1:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	case way == 2 && !strings.ContainsAny(s, " \t\n\r#;'\"\\"):
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// draw sets some keys of a section, in v and in UCI's words.
func draw(t *rapid.T, section string, v reflect.Value, always ...string) string {
	var b strings.Builder
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		f := v.Field(i)
		if key == "" || f.Kind() == reflect.Struct || key == "service" || !slices.Contains(always, key) && !rapid.Bool().Draw(t, key) {
			continue
		}
		all := values[section+"."+key]
		if f.Type() == reflect.TypeFor[conf.Duration]() {
			length := rapid.SampledFrom(lengths).Draw(t, "length")
			if strings.Contains(key, "timeout") && section == "probe" || key == "median_rtt" {
				length /= 9
			}
			all = []any{length}
		}
		if all == nil {
			t.Fatalf("the test knows no value of %s.%s", section, key)
		}
		value := rapid.SampledFrom(all).Draw(t, "value")
		f.Set(reflect.ValueOf(value).Convert(f.Type()))
		switch x := value.(type) {
		case []string:
			for _, e := range x {
				fmt.Fprintf(&b, "\tlist %s %s\n", key, quoted(t, e))
			}
			if len(x) == 0 {
				fmt.Fprintf(&b, "\tlist %s '-'\n", key)
			}
		case bool:
			fmt.Fprintf(&b, "\toption %s %s\n", key, map[bool][]string{true: {"1", "on", "yes", "true", "enabled"}, false: {"0", "off", "no", "false", "disabled"}}[x][rapid.IntRange(0, 4).Draw(t, "word")])
		case float64:
			fmt.Fprintf(&b, "\toption %s %s\n", key, quoted(t, strings.TrimSuffix(fmt.Sprintf("%.2f", x), ".00")))
		default:
			s := fmt.Sprint(x)
			if s == "" {
				s = "-"
			}
			fmt.Fprintf(&b, "\toption %s %s\n", key, quoted(t, s))
		}
	}
	return b.String()
}

func TestAnyConfigurationThatUCIHoldsIsTheOneThatTheAgentReads(t *testing.T) {
	translate(t, "") // skips without busybox
	rapid.Check(t, func(r *rapid.T) {
		profile := rapid.SampledFrom([]string{agent.Standard, agent.Metered}).Draw(r, "of profile")
		want := agent.DefaultsOf(profile)
		v := reflect.ValueOf(&want).Elem()
		sections := []string{"config agent 'agent'\n\toption profile '" + profile + "'\n" + strings.ReplaceAll(draw(r, "agent", v, "site"), "\toption profile", "#")}
		want.Profile = profile
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.Struct && v.Type().Field(i).Tag.Get("toml") != "" {
				name := v.Type().Field(i).Tag.Get("toml")
				sections = append(sections, "config "+name+" "+rapid.SampledFrom([]string{"", "'" + name + "'"}).Draw(r, "name")+"\n"+draw(r, name, f))
			}
		}
		for i := range rapid.IntRange(0, 2).Draw(r, "services") {
			want.Services = append(want.Services, service.Config{})
			text := draw(r, "service", reflect.ValueOf(&want.Services[i]).Elem(), "name")
			sections = append(sections, "config service\n"+text)
		}
		// Services keep their order; all else may stand in any.
		order := rapid.Permutation(sections[:len(sections)-len(want.Services)]).Draw(r, "order")
		uci := strings.Join(append(order, sections[len(sections)-len(want.Services):]...), "\n")
		out, faults, status := translate(t, uci)
		if status != 0 || faults != "" {
			r.Fatalf("status %d %s\n%s", status, faults, uci)
		}
		got, doc, err := agent.Parse("agent.local.toml", []byte(out), "")
		if err != nil || !reflect.DeepEqual(got, want) {
			r.Fatalf("%v\nUCI\n%s\nTOML\n%s\n got %+v\nwant %+v", err, uci, out, got, want)
		}
		// What is not right in itself, such as one pace against another, is told by the agent with a line of this file.
		if err := errors.Join(got.Validate(doc)); err != nil && !strings.HasPrefix(err.Error(), "agent.local.toml:") {
			r.Fatal(err)
		}
	})
}
