package main

import (
	"context"
	"os"

	"commsd/app"
)

type serveCmd struct {
	Config string `help:"YAML file with the configuration; without it the embedded defaults hold." placeholder:"FILE"`
	Demo   bool   `help:"Fill an empty directory with demo people, and let no mail leave the machine. Loopback only."`
}

func (s *serveCmd) Run(ctx context.Context) error {
	cfg, err := app.Load(s.Config, os.Environ(), s.Demo)
	if err != nil {
		return &app.StartError{Err: err}
	}
	a, err := app.New(cfg, app.Options{Version: version, Log: app.NewLogger(os.Stderr, cfg.Log), Greeting: os.Stdout})
	if err != nil {
		return &app.StartError{Err: err}
	}
	return a.Run(ctx)
}
