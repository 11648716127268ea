//go:build unix

package main

import (
	"net"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nabz-demo": main})
}

// TestScripts runs the program as people do. WEB and MQTT are ports that nobody listens on.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(e *testscript.Env) error {
		for _, name := range []string{"WEB", "MQTT"} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer l.Close() // at the end, so that the second is another
			e.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
		}
		return nil
	}})
}
