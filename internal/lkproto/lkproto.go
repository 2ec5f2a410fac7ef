// Package lkproto holds the messages of LiveKit's meeting protocol that commsd
// speaks, generated from signal.proto. It must not know rooms or sockets.
//
// Generating needs protoc (Debian: protobuf-compiler); the plugin comes from
// the module's own google.golang.org/protobuf.
package lkproto

//go:generate ./generate.sh
