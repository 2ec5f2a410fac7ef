# `make run` shows commsd, `make test` checks all of it. README.md explains.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO_TOOLS := go tool -modfile=tools/go.mod
WEB_SOURCES := $(shell find web/src web/public web/index.html web/vite.config.ts web/postcss.config.cjs web/tsconfig*.json web/scripts -type f 2>/dev/null)

.PHONY: build run test fmt lint vet vulncheck gen gen-check go-test web-check e2e packages bench-directory bench-media clean

build: web/dist/index.html ## the web client and ./commsd
	go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o commsd ./cmd/commsd

run: build ## build, then serve the demo on loopback
	./commsd serve --demo

test: packages fmt vet lint web-check gen-check go-test e2e ## everything CI checks
	@echo "all checks passed"

packages: ## Debian packages that the tests drive
	@tools/install-test-packages.sh

fmt: ## fail on files gofmt would change
	@files="$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go'))"; \
	if [ -n "$$files" ]; then echo "run gofmt -w on:"; echo "$$files"; exit 1; fi

vet: ## and a go.mod that names what is used
	go mod tidy -diff
	go vet ./...

lint:
	$(GO_TOOLS) golangci-lint run --timeout 10m ./...
	cd internal/lkproto/contract && go tool -modfile=../../../tools/go.mod golangci-lint run --timeout 10m ./...
	cd directory/oidc/contract && go tool -modfile=../../../tools/go.mod golangci-lint run --timeout 10m ./...

vulncheck: ## known vulnerabilities; needs the Internet, so it stands apart
	$(GO_TOOLS) govulncheck ./...
	cd web && npm audit --omit=dev

# The race detector watches our code, not SQLite's C translated into Go, which
# has its own locks and runs seven times faster unwatched. Of the packages around
# it none may go unwatched: code with type parameters that one of them has
# compiled, the standard library's included, may be linked for all, and hides
# what sync.Map does from the detector. `make vet` has looked at the tests already.
GO_TEST := go test -race -gcflags='modernc.org/sqlite/lib=-race=false -d=checkptr=0' -vet=off -timeout 10m

go-test: web/dist/index.html
	go run ./internal/testengine/cmd/withengines -- $(GO_TEST) ./...
	go test -run 'AllocatesNothing|TestFaults|EarlyStreamsEnd' ./sfu # the race detector allocates, fails on clocks of tests, and sees Pion's own
	cd internal/lkproto/contract && go test ./... # a module of its own, for the official messages
	cd directory/oidc/contract && go test ./... # likewise, for a provider that is not ours

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build

web-check: web/node_modules/.package-lock.json
	cd web && npm run lint && npm run typecheck && npm test

gen: web/node_modules/.package-lock.json ## the web client's types from the API's own document
	go run ./cmd/commsd openapi > web/openapi.json
	cd web && npm run gen

gen-check: gen ## fail when the committed types differ from the API
	@git diff --exit-code -- web/openapi.json web/src/api/schema.d.ts || \
	{ echo "the web client's types differ from the API: run make gen and commit"; exit 1; }

web/e2e/sdk/node_modules/.package-lock.json: web/e2e/sdk/package-lock.json
	cd web/e2e/sdk && npm ci --no-audit --no-fund
	@touch $@

e2e: build web/e2e/sdk/node_modules/.package-lock.json
	cd directory/oidc/contract && go build -o /dev/null ./cmd/provider # the tests build it too, where there is no network to fetch from
	go build -o /dev/null ./internal/testengine/cmd/withengines # likewise
	cd web && npm run e2e

bench-directory: ## searches, pages and an import among 1,000,000 people on both engines; half an hour and 10 GB
	go run ./bench/directory -dir artifacts/bench-directory
	go run ./internal/testengine/cmd/withengines -- sh -c 'go run ./bench/directory -database "$$COMMSD_TEST_POSTGRES"'

bench-media: web/dist/index.html ## meetings of 2 to 900 people on commsd, plain Pion and Janus side by side; ten minutes
	bench/media/install-janus.sh
	mkdir -p artifacts/bench-media
	go build -trimpath -o artifacts/bench-media/ ./cmd/commsd ./bench/forwarder ./bench/media
	artifacts/bench-media/media -compare commsd,pion,janus,livekit -scenario all -limit -for 10s -dir artifacts/bench-media \
		-commsd artifacts/bench-media/commsd -forwarder artifacts/bench-media/forwarder

clean:
	rm -rf commsd artifacts web/dist/assets web/dist/index.html
