package train

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
)

// manyDevices is the Go backend as one with several devices whose memory is not the
// program's, and which a graph may only read its own inputs from. It counts what
// memory is held.
type manyDevices struct {
	compute.Backend
	devices int
	held    atomic.Int64 // buffers
}

func (d *manyDevices) NumDevices() int        { return d.devices }
func (d *manyDevices) HasSharedBuffers() bool { return false }

func (d *manyDevices) wrap(inner compute.Buffer, device compute.DeviceNum) compute.Buffer {
	d.held.Add(1)
	return &deviceBuffer{inner, d, device}
}

func (d *manyDevices) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	inner, err := d.Backend.BufferFromFlatData(0, flat, shape)
	if err != nil {
		return nil, err
	}
	return d.wrap(inner, device), nil
}

func (d *manyDevices) NewSharedBuffer(compute.DeviceNum, shapes.Shape) (compute.Buffer, any, error) {
	return nil, nil, fmt.Errorf("memory is not shared")
}

func (d *manyDevices) Builder(name string) compute.Builder {
	return deviceBuilder{d.Backend.Builder(name), d}
}

// A deviceBuffer lies on a device. inner is nil when it is freed or given away.
type deviceBuffer struct {
	inner  compute.Buffer
	on     *manyDevices
	device compute.DeviceNum
}

func (b *deviceBuffer) take() (compute.Buffer, error) {
	if b.inner == nil {
		return nil, fmt.Errorf("a buffer is used after it was freed")
	}
	inner := b.inner
	b.inner = nil
	b.on.held.Add(-1)
	return inner, nil
}

func (b *deviceBuffer) Backend() compute.Backend { return b.on }

func (b *deviceBuffer) Finalize() error {
	inner, err := b.take()
	if err != nil {
		return err
	}
	return inner.Finalize()
}

func (b *deviceBuffer) Shape() (shapes.Shape, error)          { return b.inner.Shape() }
func (b *deviceBuffer) DeviceNum() (compute.DeviceNum, error) { return b.device, nil }
func (b *deviceBuffer) ToFlatData(flat any) error             { return b.inner.ToFlatData(flat) }
func (b *deviceBuffer) Data() (any, error)                    { return nil, fmt.Errorf("memory is not shared") }
func (b *deviceBuffer) CopyToDevice(to compute.DeviceNum) (compute.Buffer, error) {
	shape, err := b.inner.Shape()
	if err != nil {
		return nil, err
	}
	flat := reflect.MakeSlice(reflect.SliceOf(shape.DType.GoType()), shape.Size(), shape.Size()).Interface()
	if err := b.inner.ToFlatData(flat); err != nil {
		return nil, err
	}
	return b.on.BufferFromFlatData(to, flat, shape)
}

type deviceBuilder struct {
	compute.Builder
	on *manyDevices
}

func (b deviceBuilder) Compile() (compute.Executable, error) {
	e, err := b.Builder.Compile()
	return deviceExecutable{e, b.on}, err
}

type deviceExecutable struct {
	compute.Executable
	on *manyDevices
}

func (e deviceExecutable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	inner := make([]compute.Buffer, len(inputs))
	for i, in := range inputs {
		b := in.(*deviceBuffer)
		if b.device != device || b.inner == nil {
			return nil, fmt.Errorf("input %d is on device %d, held: %v; the graph runs on %d", i, b.device, b.inner != nil, device)
		}
		if inner[i] = b.inner; donate != nil && donate[i] {
			if _, err := b.take(); err != nil {
				return nil, err
			}
		}
	}
	out, err := e.Executable.Execute(inner, donate, 0)
	if err != nil {
		return nil, err
	}
	for i, b := range out {
		out[i] = e.on.wrap(b, device)
	}
	return out, nil
}

// newDevices returns a backend of so many devices, which run shards parts at once.
func newDevices(t testing.TB, devices, shards int) (*Backend, *manyDevices) {
	t.Helper()
	inner, err := compute.NewWithConfig(GoBackend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inner.Finalize)
	d := &manyDevices{Backend: inner, devices: devices}
	return &Backend{Name: "devices", Compute: d, Devices: devices, Shards: shards}, d
}

// Several devices make the steps that one makes with as many parts, to the last bit,
// evaluate like it, and hold no more from step to step.
func TestDevicesAreOne(t *testing.T) {
	for _, devices := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			s := setting{model: tiny, optimizer: adam, average: Average{Kind: EMA, Decay: 0.9}, seed: 5, accumulate: 2}
			one := engineOf(t, 6, s)
			backend, memory := newDevices(t, devices, 6)
			many, err := newEngine(backend, s)
			if err != nil {
				t.Fatal(err)
			}
			held := int64(0)
			for step := range int64(4) {
				b := packed(someBatch(tiny, curriculum.Shape{Rows: 15, Length: 8, Kept: 4}, uint64(step)), 4, 2)
				want, err := one.step(b, 1e-2, step)
				if err != nil {
					t.Fatal(err)
				}
				got, err := many.step(b, 1e-2, step)
				if err != nil {
					t.Fatal(err)
				}
				if got.loss != want.loss || got.norm != want.norm {
					t.Errorf("step %d: loss %v and norm %v, on one device %v and %v", step, got.loss, got.norm, want.loss, want.norm)
				}
				evaluation := slices.Repeat([]*batch.Batch{b}, 7)
				lossOne, _, errOne := one.loss(evaluation)
				lossMany, _, errMany := many.loss(evaluation)
				if errOne != nil || errMany != nil || lossOne != lossMany {
					t.Errorf("step %d: evaluated at %v (%v), on one device at %v (%v)", step, lossMany, errMany, lossOne, errOne)
				}
				if now := memory.held.Load(); step > 1 && now != held {
					t.Errorf("step %d: %d buffers are held, before it %d", step, now, held)
				} else {
					held = now
				}
			}
			if want := int64((3 + devices) * len(many.params)); held != want {
				t.Errorf("%d buffers are held between steps; the state and the copies of the weights are %d", held, want)
			}
			got, err := many.save()
			if err != nil {
				t.Fatal(err)
			}
			want, err := one.save()
			if err != nil {
				t.Fatal(err)
			}
			sameState(t, got, want)
			for d, replica := range many.replicas {
				values, err := many.download(replica)
				if err != nil {
					t.Fatal(err)
				}
				got.weights = values
				t.Logf("device %d", d+1)
				sameState(t, got, want)
			}
		})
	}
}
