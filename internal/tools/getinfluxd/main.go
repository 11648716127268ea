package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/smartvillage/nabz/internal/influxd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := influxd.Find(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
