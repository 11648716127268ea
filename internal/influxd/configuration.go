package influxd

import (
	"fmt"
	"path/filepath"
)

// configuration is the influxd.conf of a server in dir. Each write is synced before it is answered (the
// default of wal-fsync-delay), nothing is reported to anyone, and nothing but addr and one free loopback port
// is listened on.
func configuration(dir, addr string, signIn, flux bool) string {
	return fmt.Sprintf(`# written by nabz at each start
reporting-disabled = true
bind-address = "127.0.0.1:0"

[meta]
dir = %q

[data]
dir = %q
wal-dir = %q
index-version = "tsi1"
query-log-enabled = false

[coordinator]
write-timeout = "10s"
query-timeout = "60s"
log-queries-after = "10s"

[http]
bind-address = %q
auth-enabled = %t
flux-enabled = %t
log-enabled = false
pprof-enabled = false

[logging]
format = "logfmt"
level = "info"
suppress-logo = true

[monitor]
store-enabled = false

[subscriber]
enabled = false

[continuous_queries]
enabled = false
`, filepath.Join(dir, "meta"), filepath.Join(dir, "data"), filepath.Join(dir, "wal"), addr, signIn, flux)
}

// argumentsOfTwo is the same for a 2.x, which is told by flags.
func argumentsOfTwo(dir, addr string) []string {
	return []string{"--http-bind-address", addr, "--bolt-path", filepath.Join(dir, "influxd.bolt"), "--sqlite-path", filepath.Join(dir, "influxd.sqlite"),
		"--engine-path", filepath.Join(dir, "engine"), "--reporting-disabled", "--ui-disabled", "--pprof-disabled", "--log-level", "info"}
}
