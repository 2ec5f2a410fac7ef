package main

import (
	"os"

	"commsd/app"
)

type openAPICmd struct{}

func (openAPICmd) Run() error {
	return app.WriteOpenAPI(os.Stdout, version)
}
