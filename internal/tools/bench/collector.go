//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/internal/bench"
	"github.com/smartvillage/nabz/internal/bench/load"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
)

// collect measures the collector, or its board; it needs no namespaces, and so no root.
func (s settings) collect(ctx context.Context, stdout, stderr io.Writer) error {
	influx, err := influxd.Find(ctx, stderr)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bin, err := filepath.Abs(s.bin)
	if err != nil {
		return err
	}
	c := bench.Collect{Programs: bench.Programs{Collector: filepath.Join(bin, "nabz-collector"), Influxd: influx}, Self: self,
		For: s.length, Rounds: s.rounds, Only: s.only, Profile: s.profile, Extra: s.extra, Log: stderr}
	var figures []bench.Figure
	if s.what == "board" {
		figures, err = bench.Board{Collect: c}.Run(ctx)
	} else {
		figures, err = c.Run(ctx)
	}
	if told := bench.Print(stdout, figures); err == nil { // what is known is told, also where a later part broke off
		err = told
	}
	return err
}

// report measures what a report costs.
func (s settings) report(ctx context.Context, stdout, stderr io.Writer) error {
	influx, err := influxd.Find(ctx, stderr)
	if err != nil {
		return err
	}
	bin, err := filepath.Abs(s.bin)
	if err != nil {
		return err
	}
	figures, err := bench.Report{Programs: bench.Programs{Collector: filepath.Join(bin, "nabz-collector"), Influxd: influx}, Rounds: s.rounds, Only: s.only, Log: stderr}.Run(ctx)
	if told := bench.Print(stdout, figures); err == nil {
		err = told
	}
	return err
}

// loads is one of the processes beside the collector.
func loads(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("want one plan, got %d", len(args))
	}
	var p load.Plan
	if err := json.Unmarshal([]byte(args[0]), &p); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	return load.Run(ctx, p, os.Stdin, stdout)
}

// profiled is the collector with its processor time written to a file as it ends, and what it allocated to another. The program that users get has no such thing.
func profiled(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("want a configuration and a file, got %q", args)
	}
	c := collector.Defaults()
	if _, err := conf.Load(args[0], &c); err != nil {
		return err
	}
	f, err := os.Create(args[1])
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer func() {
		pprof.StopCPUProfile()
		if m, err := os.Create(args[1] + ".allocs"); err == nil {
			_ = pprof.Lookup("allocs").WriteTo(m, 0) // a profile less
			m.Close()
		}
	}()
	go largest(ctx, args[1]+".heap")
	return collector.Run(ctx, c, slog.New(slog.NewTextHandler(stderr, nil)))
}

// largest keeps a profile of the heap as it was when it was largest, of each second.
func largest(ctx context.Context, file string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	most := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapAlloc <= most {
			continue
		}
		most = m.HeapAlloc
		if f, err := os.Create(file); err == nil {
			_ = pprof.Lookup("heap").WriteTo(f, 0) // a profile less
			f.Close()
		}
	}
}
