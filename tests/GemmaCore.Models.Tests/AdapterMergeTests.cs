using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

public sealed class AdapterMergeTests
{
    // F32 embeddings of MedGemma are 2.7 GB: more than an array or a span of bytes can hold. Pages that were never written take no memory, so zeros do.
    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    public void A_tensor_above_two_gigabytes_is_written_to_its_last_element(DType type)
    {
        const int rows = 262_208, columns = 2560;
        using var device = new CpuDevice(2);
        long elements = (long)rows * columns;
        using var memory = new UntouchedMemory(elements * sizeof(float));
        var source = new TensorView(memory.Start, new Shape(rows, columns), DType.F32, device);
        Assert.True(source.ByteCount > int.MaxValue);
        source.Slice(rows - 1, 1).AsSpan<float>()[^1] = 3;
        Assert.Equal(elements - 1, FiniteCheck.FirstNonFinite(Last(source, float.NaN)));
        Last(source, 3);
        var end = new LastBytes();
        AdapterMerge.WriteTensor(end, source, type, "embed_tokens", change: null, rowScale: null);
        Assert.Equal(elements * type.Size(), end.Position);
        Assert.Equal(type == DType.F32 ? BitConverter.GetBytes(3f) : [0x00, 0x00, 0x40, 0x40], end.Tail);
    }

    // Rows of several blocks, the last one shorter, against the formula.
    [Fact]
    public void A_merge_in_blocks_of_rows_is_the_merge_of_the_whole()
    {
        const int rows = 4099, columns = 1031, rank = 3; // a block is 4068 rows
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        float[] weight = sample.Floats(rows * columns), a = sample.Floats(rank * columns), b = sample.Floats(rows * rank), scale = sample.Floats(rows);
        var change = new LoraWeights { A = fixture.Of(new Shape(rank, columns), a), B = fixture.Of(new Shape(rows, rank), b), Scale = 0.5f };
        using var written = new MemoryStream();
        AdapterMerge.WriteTensor(written, fixture.Of(new Shape(rows, columns), weight), DType.F32, "w", change, scale);
        ReadOnlySpan<float> merged = MemoryMarshal.Cast<byte, float>(written.ToArray());
        Assert.Equal(rows * columns, merged.Length);
        foreach (int row in (int[])[0, 1, 4067, 4068, 4098])
        {
            for (int i = 0; i < columns; i += 103)
            {
                double sum = 0;
                for (int r = 0; r < rank; r++) sum += (double)b[row * rank + r] * a[r * columns + i];
                Assert.Equal(scale[row] * (weight[row * columns + i] + 0.5 * sum), merged[row * columns + i], 1e-5);
            }
        }
    }

    private static TensorView Last(TensorView view, float value)
    {
        view.Slice(view.Shape[0] - 1, 1).AsSpan<float>()[^1] = value;
        return view;
    }

    private sealed unsafe class UntouchedMemory(long bytes) : IDisposable
    {
        private readonly void* _start = NativeMemory.AllocZeroed((nuint)bytes);

        public nint Start => (nint)_start;

        public void Dispose() => NativeMemory.Free(_start);
    }

    /// <summary>Counts, and keeps the last four bytes.</summary>
    private sealed class LastBytes : Stream
    {
        private long _length;

        public byte[] Tail { get; } = new byte[4];

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _length;

        public override long Position { get => _length; set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _length += buffer.Length;
            buffer[^4..].CopyTo(Tail);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
