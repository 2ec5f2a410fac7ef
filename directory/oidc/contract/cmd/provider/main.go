// Command provider is a provider of sign-in that is not ours, for tests in a
// browser: zitadel's, with its own page, for people who are named to it. It runs
// until its standard input ends.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"commsd/directory/oidc/contract"
)

func main() {
	listen := flag.String("listen", "", "address of the provider, which is its issuer too: 127.0.0.1:9000")
	secret := flag.String("secret", "", "secret of the client commsd")
	redirect := flag.String("redirect", "", "where it sends people back to")
	flag.Parse()
	server := &http.Server{
		Addr: *listen, ReadHeaderTimeout: 10 * time.Second,
		Handler: contract.NewProvider("http://"+*listen, *secret, *redirect, contract.NewPeople(flag.Args()...)),
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until whoever started it is gone
		_ = server.Close()                   // the listener's error comes below
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "provider:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}
