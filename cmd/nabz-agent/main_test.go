package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nabz-agent": main})
}

func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Condition: func(cond string) (bool, error) {
		if cond != "installed" {
			return false, fmt.Errorf("unknown condition %q", cond)
		}
		_, err := os.Stat(defaultFile)
		return err == nil, nil
	}})
}
