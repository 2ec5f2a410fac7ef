package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"commsd/app"
	"commsd/directory"
)

type adminCmd struct {
	Create adminCreateCmd `cmd:"" help:"Make an account that administers the whole installation."`
}

type adminCreateCmd struct {
	Config        string `help:"YAML file with the configuration of the server." placeholder:"FILE"`
	Login         string `help:"Mail address to sign in with, in a domain that is received here." required:"" placeholder:"ADDRESS"`
	Name          string `help:"Họ đệm tên of a person who is not in the directory yet." default:"Quản trị hệ thống" placeholder:"NAME"`
	PasswordStdin bool   `help:"Read the password from standard input, one line, instead of from the terminal."`
}

func (c *adminCreateCmd) Run(ctx context.Context) error {
	// The password first: whoever is asked for it should not hold a database.
	typed, err := c.password()
	if err != nil {
		return &app.StartError{Err: err}
	}
	return onDirectory(ctx, c.Config, func(ctx context.Context, d *directory.Service) error {
		r, err := d.CreateAdministrator(ctx, directory.CommandLine(), directory.NewAdministrator{Login: c.Login, Name: c.Name, Password: typed})
		if err == nil {
			fmt.Printf("%s (%s) administers the installation; the first sign-in asks for a second factor\n", r.Address, r.Name)
		}
		return err
	})
}

// password reads a password from where nobody else sees it: never from the
// command line, which every user of the machine can list.
func (c *adminCreateCmd) password() (string, error) {
	if c.PasswordStdin {
		return passwordLine(os.Stdin)
	}
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return "", errors.New("standard input is no terminal to ask for a password: add --password-stdin, or run this at a terminal")
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(os.Stderr, prompt)
		typed, err := term.ReadPassword(stdin)
		fmt.Fprintln(os.Stderr)
		return string(typed), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	again, err := ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if first != again {
		return "", errors.New("the two passwords differ: run the command again")
	}
	return first, nil
}

// passwordLine reads one line; a password is the bytes before its end.
func passwordLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 16<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("--password-stdin: standard input holds no password")
	}
	return line, nil
}
