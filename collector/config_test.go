package collector

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/conf"
)

func TestTheShippedExampleIsTheDefault(t *testing.T) {
	var c Config
	doc, err := conf.Parse("collector.example.toml", []byte(Example), &c)
	if err != nil {
		t.Fatal(err)
	}
	if want := Defaults(); !reflect.DeepEqual(c, want) {
		t.Errorf("example gives\n%+v\nwant\n%+v", c, want)
	}
	for _, key := range conf.Keys(Config{}) {
		if !doc.Has(key) {
			t.Errorf("the example does not have %s", key)
		}
	}
	if err := c.Validate(doc); err != nil {
		t.Errorf("the example is not valid: %v", err)
	}
}

func TestEachFaultNamesItsLineAndWhatWouldBeAccepted(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"open without TLS", "[mqtt]\nlisten = \"0.0.0.0:1883\"",
			`c.toml:2: mqtt.listen: 0.0.0.0:1883 can be reached from other machines, and without TLS so can every secret and every line; set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true`},
		{"open on purpose", "[mqtt]\nlisten = \":1883\"\ninsecure = true", ""},
		{"half of TLS", "[mqtt]\ntls_cert = \"x\"", `c.toml: mqtt.tls_key: mqtt.tls_cert and mqtt.tls_key go together; one of them is empty`},
		{"not an address", "[web]\nlisten = \"8080\"",
			`c.toml:2: web.listen: "8080" is not an address to listen on; write it as "127.0.0.1:1883", or ":1883" for all interfaces`},
		{"board open without TLS", "[web]\nlisten = \":8080\"",
			`c.toml:2: web.listen: :8080 can be reached from other machines, and without TLS so can every password and session; set web.tls_cert and web.tls_key, or web.insecure = true`},
		{"board open on purpose", "[web]\nlisten = \":8080\"\ninsecure = true", ""},
		{"board over TLS", "[web]\nlisten = \":8443\"\ntls_cert = \"x\"\ntls_key = \"y\"", ""},
		{"half of the board's TLS", "[web]\ntls_key = \"x\"", `c.toml:2: web.tls_key: web.tls_cert and web.tls_key go together; one of them is empty`},
		{"nobody signs in, on this machine", "[web]\nopen = true", ""},
		{"nobody signs in, from anywhere", "[web]\nlisten = \"192.0.2.1:8080\"\ninsecure = true\nopen = true",
			`c.toml:4: web.open: 192.0.2.1:8080 can be reached from other machines, and nobody there would have to sign in; set web.open = false, or web.listen to a loopback address`},
		{"a proxy elsewhere", "[web]\nlisten = \":8080\"\ninsecure = true\nproxy = true",
			`c.toml:4: web.proxy: believes what a proxy on this machine says; it goes with a loopback address in web.listen, and with web.open = false`},
		{"sessions", "[web]\nsession_idle = \"1m\"", `c.toml:2: web.session_idle: 1m is outside 10m to 2160h`},
		{"the same address twice", "[web]\nlisten = \"127.0.0.1:1883\"", `c.toml:2: web.listen: 127.0.0.1:1883 is mqtt.listen too; give each its own port`},
		{"no InfluxDB", "[influx]\nurl = \"localhost:8086\"",
			`c.toml:2: influx.url: "localhost:8086" is not an address; write it as "http://host:8086" or "https://host"`},
		{"password in the address", "[influx]\nurl = \"http://a:b@host:8086\"",
			`c.toml:2: influx.url: holds a user; put "user:password" into influx.token, or into the environment as INFLUX_TOKEN`},
		{"one bucket for both", "[influx]\nledger_bucket = \"nabz\"",
			`c.toml:2: influx.ledger_bucket: "nabz" is influx.detail_bucket too; the ledger is kept for ever and detail is not, so give each its own`},
		{"too impatient", "unreachable_after = \"1s\"", `c.toml:1: unreachable_after: 1s is outside 10s to 24h`},
		{"a foreign measurement of our own name", "[intake]\nextra_measurements = [\"cpu\", \"host\"]",
			`c.toml:2: intake.extra_measurements: "host" is a measurement of nabz itself, which no other program may write; have the sender use another name (in Telegraf: name_override or name_prefix)`},
		{"level", "log_level = \"loud\"", `c.toml:1: log_level: "loud" is none of debug, info, warn, error`},
		{"time zone", "[web]\ntime_zone = \"Mars\"", `c.toml:2: web.time_zone: "Mars" is not an IANA name such as "Asia/Karachi"`},
		{"reports", "[alert]\nboard_url = \"https://noc.example.org\"\n[report]\nday = 3\nsites = [\"all\", \"district=Hunza\"]\nlanguages = [\"en\", \"ur\"]\nshare_days = 90", ""},
		{"reports that cannot be", "[report]\nday = 29\nat = \"6:00\"\nsites = [\"all\", \" \"]\nlanguages = [\"English\"]\nshare_days = 30",
			`c.toml:2: report.day: 29 is outside 0 to 28
c.toml:3: report.at: "6:00" is not a time of day; write it as "06:00"
c.toml:4: report.sites[1]: is empty; name what the report is of, such as "all" or "district=Hunza"
c.toml:5: report.languages[0]: "English" is not a language; write it as "en" or "ur"
c.toml:6: report.share_days: a link needs to know where the board is; set alert.board_url, or report.share_days to 0`},
		{"reports in no language", "[report]\nday = 1\nlanguages = []", `c.toml:3: report.languages: is empty; name what people are told in, such as ["en"] or ["ur", "en"], or set report.day to 0`},
		{"too many reports", "[report]\nday = 1\nsites = [" + strings.Repeat(`"all", `, 201) + "]", `c.toml:3: report.sites: has 201 selections, and 200 are the most, as people are told of each`},
		{"reports of nothing", "[report]\nday = 1\nsites = []", `c.toml:3: report.sites: is empty; name what reports are of, such as ["all"] or ["district=Hunza"], or set report.day to 0`},
		{"several", "data_dir = \"\"\n[intake]\nrequests = 0\nmax_ahead = \"1s\"",
			`c.toml:1: data_dir: is empty; name a folder that the collector may write to
c.toml:4: intake.max_ahead: 1s is outside 1m to 8784h
c.toml:3: intake.requests: 0 is outside 1 to 64`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Defaults()
			doc, err := conf.Parse("c.toml", []byte(tt.text), &c)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := c.Validate(doc); err != nil {
				got = fmt.Sprint(err)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if keys := conf.Keys(Config{}); !slices.Contains(keys, "influx.url") {
		t.Errorf("keys are %v", keys)
	}
}
