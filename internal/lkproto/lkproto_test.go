package lkproto_test

import (
	"flag"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	lk "commsd/internal/lkproto"
)

var update = flag.Bool("update", false, "write signal.binpb anew")

// signal.binpb is what contract/ compares with the official messages, without
// linking this package.
func TestDescriptorFileIsOurs(t *testing.T) {
	linked := protodesc.ToFileDescriptorProto(lk.File_signal_proto)
	if *update {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(linked)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("signal.binpb", data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile("signal.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var file descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&file, linked) {
		t.Fatal("signal.binpb is not of signal.pb.go; run: go test ./internal/lkproto -update")
	}
}
