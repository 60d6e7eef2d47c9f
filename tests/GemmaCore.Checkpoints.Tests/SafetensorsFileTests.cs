using System.Runtime.InteropServices;
using CsCheck;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly CpuDevice _device = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _device.Dispose();
    }

    [Fact]
    public void Views_are_the_bytes_an_independent_reader_sees()
    {
        string path = Goldens.DemoPath("model/model-00001-of-00002.safetensors");
        Dictionary<string, GoldenTensor> expected = GoldenTensors.Load(path);
        using SafetensorsFile file = SafetensorsFile.Open(path, _device);
        Assert.Equal(expected.Keys.Order(), file.Header.Tensors.Keys.Order());
        foreach ((string name, GoldenTensor tensor) in expected)
        {
            TensorView view = file.View(name);
            Assert.Equal(tensor.Shape, Enumerable.Range(0, view.Shape.Rank).Select(i => (long)view.Shape[i]));
            Assert.True(tensor.Bytes.AsSpan().SequenceEqual(MemoryMarshal.AsBytes(view.AsSpan<ushort>())), name);
        }
    }

    [Fact]
    public void Types_without_a_view_are_listed_and_refused_by_name()
    {
        string path = _folder.File("f64.safetensors");
        WriteRaw(path, """{"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"deep":{"dtype":"U8","shape":[1,1,1,1,2],"data_offsets":[8,10]}}""", new byte[10]);
        using SafetensorsFile file = SafetensorsFile.Open(path, _device);
        Assert.Equal("F64", file.Header.Tensors["d"].StoredType);
        Assert.Contains("'d' has type F64", Assert.Throws<CheckpointException>(() => file.View("d")).Message, StringComparison.Ordinal);
        Assert.Contains("'deep': Shape: rank 5", Assert.Throws<CheckpointException>(() => file.View("deep")).Message, StringComparison.Ordinal);
        Assert.Contains("no tensor 'nope'", Assert.Throws<CheckpointException>(() => file.View("nope")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_an_empty_and_a_truncated_file_are_refused()
    {
        Assert.Contains("not found", Refusal(_folder.File("none")), StringComparison.Ordinal);
        File.WriteAllBytes(_folder.File("empty"), []);
        Assert.Contains("0 bytes are too few", Refusal(_folder.File("empty")), StringComparison.Ordinal);
        byte[] whole = File.ReadAllBytes(Goldens.DemoPath("model/model-00002-of-00002.safetensors"));
        foreach (int length in (int[])[7, 8, 100, whole.Length / 2, whole.Length - 1])
        {
            File.WriteAllBytes(_folder.File("cut"), whole[..length]);
            Assert.StartsWith(_folder.File("cut"), Refusal(_folder.File("cut")), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Views_of_a_closed_file_are_refused_and_closing_twice_is_harmless()
    {
        SafetensorsFile file = SafetensorsFile.Open(Goldens.DemoPath("model/model-00002-of-00002.safetensors"), _device);
        string name = file.Header.Tensors.Keys.First();
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.View(name));
    }

    [Theory]
    [InlineData("model-00001-of-00002.safetensors")]
    [InlineData("model-00002-of-00002.safetensors")]
    public void Written_again_the_embedded_model_has_the_same_bytes(string shard) => AssertSameBytesWhenRewritten(Goldens.DemoPath("model/" + shard));

    [Theory]
    [InlineData("all_linear_r8")]
    [InlineData("all_linear_r8_layout_A")]
    [InlineData("dora_r4")]
    public void Written_again_an_adapter_has_the_same_bytes(string adapter) =>
        AssertSameBytesWhenRewritten(Goldens.Path($"adapters/{adapter}/adapter_model.safetensors"));

    [Fact]
    public void Types_of_equal_width_come_in_the_order_of_the_reference_library()
    {
        // As declared in its Dtype enumeration, which the library sorts by, descending (safetensors/src/tensor.rs).
        DType[] expected = [DType.I64, DType.F32, DType.I32, DType.BF16, DType.F16, DType.I8, DType.U8];
        Assert.Equal(Enum.GetValues<DType>().Order(), expected.Order());
        string path = _folder.File("types.safetensors");
        SafetensorsWriter.Write(
            path,
            [.. Enum.GetValues<DType>().Reverse().Select(dtype => new WritableTensor($"{(int)dtype}", dtype, new Shape(3), stream => stream.Write(new byte[3 * dtype.Size()])))]);
        using SafetensorsFile file = SafetensorsFile.Open(path, _device);
        Assert.Equal(expected, file.Header.Tensors.Values.OrderBy(tensor => tensor.Begin).Select(tensor => tensor.DType!.Value));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        Gen<DType> dtypes = Gen.Int[0, 6].Select(i => (DType)i);
        Gen<int[]> shapes = Gen.Int[0, 5].Array[1, 4];
        string[] tails = ["", "é\"\\\n😀", "+<&'"];
        Gen<string> names = Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 1, 8], Gen.Int[0, 2], (head, tail) => head + tails[tail]);
        Gen.Dictionary(names, Gen.Select(dtypes, shapes))[0, 6].Sample(
            plan =>
            {
                var contents = new Dictionary<string, byte[]>();
                var tensors = new List<WritableTensor>();
                foreach ((string name, (DType dtype, int[] sizes)) in plan)
                {
                    Shape shape = Shape.From([.. sizes.Select(size => (long)size)]);
                    byte[] bytes = contents[name] = [.. Enumerable.Range(name.Length, (int)shape.ElementCount * dtype.Size()).Select(i => (byte)(i * 37))];
                    tensors.Add(new WritableTensor(name, dtype, shape, stream => stream.Write(bytes)));
                }

                string path = _folder.File("roundtrip.safetensors");
                SafetensorsWriter.Write(path, tensors);
                using SafetensorsFile file = SafetensorsFile.Open(path, _device);
                Assert.Equal(0, file.Header.DataStart % 8);
                Assert.Equal(tensors.Count, file.Header.Tensors.Count);
                foreach (WritableTensor tensor in tensors)
                {
                    TensorView view = file.View(tensor.Name);
                    byte[] read = new byte[view.ByteCount];
                    _device.CopyToHost(view, read);
                    Assert.Equal((tensor.DType, tensor.Shape), (view.DType, view.Shape));
                    Assert.Equal(contents[tensor.Name], read);
                }
            },
            iter: 200,
            threads: 1);
    }

    internal static void WriteRaw(string path, string json, byte[] data)
    {
        byte[] header = System.Text.Encoding.UTF8.GetBytes(json);
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)header.Length), .. header, .. data]);
    }

    private void AssertSameBytesWhenRewritten(string path)
    {
        string copy = _folder.File("copy.safetensors");
        using (SafetensorsFile file = SafetensorsFile.Open(path, _device))
            SafetensorsWriter.Write(copy, [.. file.Header.Tensors.Keys.Reverse().Select(name => WritableTensor.Of(name, file.View(name)))]);
        Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(copy));
    }

    private string Refusal(string path) => Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path, _device)).Message;
}
