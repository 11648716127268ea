package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
)

// limit bounds the build of a 2.x.
const limit = 20 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := get(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}

func get(ctx context.Context, args []string) (string, error) {
	switch {
	case len(args) == 0:
		return influxd.Find(ctx, os.Stderr)
	case len(args) == 1 && args[0] == "2":
	default:
		return "", fmt.Errorf("getinfluxd: want no argument, or 2 for InfluxDB %s", influxd.VersionTwo)
	}
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("getinfluxd: find the project's folder: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than %v", limit))
	defer cancel()
	return influxd.BuildTwo(ctx, filepath.Join(filepath.Dir(strings.TrimSpace(string(gomod))), "internal", "tools", "influxd2"), os.Stderr)
}
