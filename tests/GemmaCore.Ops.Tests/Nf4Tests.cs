using GemmaCore.Checkpoints;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>The number format against what bitsandbytes wrote: codes, magnitudes and dequantised values, bit for bit.</summary>
public sealed class Nf4Tests : IDisposable
{
    private const string File = "nf4/blocks.safetensors";

    private static readonly string[] Names = ["gauss_64x256", "heavy_96x320", "nested_many_512x288", "odd_5x27", "straddle_72x144", "thresholds_2x64", "zeros_4x64"];

    private readonly CpuDevice _cpu = new(1);
    private readonly SafetensorsFile _golden;

    public Nf4Tests() => _golden = SafetensorsFile.Open(Goldens.Path(File), _cpu);

    public static TheoryData<string, string> Cases => [.. from name in Names from type in (string[])["fp32", "bf16"] select (name, type)];

    public void Dispose()
    {
        _golden.Dispose();
        _cpu.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Codes_and_magnitudes_are_those_of_bitsandbytes(string name, string type)
    {
        float[] weight = _golden.View($"{name}.{type}.weight").ToFloats();
        byte[] codes = new byte[(weight.Length + 1) / 2];
        var absmax = new float[Nf4.BlockCount(weight.Length)];

        Nf4.Quantize(weight, codes, absmax);

        float[] expectedAbsmax = Floats($"{name}.{type}.plain.absmax");
        Assert.Equal(0, ReportEqual("magnitudes of blocks", expectedAbsmax.Zip(absmax).Count(pair => pair.First == pair.Second), absmax.Length));
        byte[] expected = Bytes($"{name}.{type}.plain.packed");
        int different = Enumerable.Range(0, weight.Length).Count(i => CodeAt(codes, i) != CodeAt(expected, i));
        // The manifest: a value within an ulp of a threshold may fall either way, and one was planted.
        int planted = name == "thresholds_2x64" ? 1 : 0;
        Assert.InRange(Parity.Report("nf4", File, "codes of a matrix that differ (one is planted on a threshold)", different, planted), 0, planted);
        Assert.All(Enumerable.Range(0, weight.Length), i => Assert.InRange(Math.Abs(CodeAt(codes, i) - CodeAt(expected, i)), 0, 1));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Double_quantised_magnitudes_are_those_of_bitsandbytes(string name, string type)
    {
        float[] absmax = Floats($"{name}.{type}.plain.absmax"), scales = new float[(absmax.Length + 255) / 256];
        byte[] codes = new byte[absmax.Length];

        // torch sums in fp32, we do in fp64: the means differ by an ulp at most. From the same mean on everything is equal.
        float expected = Floats($"{name}.{type}.nested.nested_offset")[0], offset = Nf4.QuantizeAbsmax(absmax, codes, scales);
        Assert.InRange(offset, MathF.BitDecrement(expected), MathF.BitIncrement(expected));
        Nf4.QuantizeAbsmax(absmax, expected, codes, scales);

        Assert.Equal(Floats($"{name}.{type}.nested.nested_code"), Nf4.NestedValues);
        Assert.Equal(Floats($"{name}.{type}.nested.nested_absmax"), scales);
        byte[] expectedCodes = Bytes($"{name}.{type}.nested.absmax");
        Assert.Equal(0, ReportEqual("double-quantised magnitudes", expectedCodes.Zip(codes).Count(pair => pair.First == pair.Second), codes.Length));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Dequantised_values_are_those_of_bitsandbytes(string name, string type)
    {
        TensorView weight = _golden.View($"{name}.{type}.weight");
        foreach (string form in (string[])["plain", "nested"])
        {
            string prefix = $"{name}.{type}.{form}.";
            Nf4Absmax absmax = form == "plain"
                ? new Nf4Absmax(_golden.View(prefix + "absmax"))
                : new Nf4Absmax(
                    _golden.View(prefix + "absmax"), _golden.View(prefix + "nested_absmax"), _golden.View(prefix + "nested_code"), Floats(prefix + "nested_offset")[0]);
            var matrix = new Nf4Matrix(weight.Shape, _golden.View(prefix + "packed"), absmax);

            float[] values = matrix.ToFloats();

            // Rounded once to the weight's type, as bitsandbytes gives them.
            if (type == "bf16") values = Array.ConvertAll(values, value => BFloat16.ToSingle(BFloat16.FromSingle(value)));
            float[] expected = _golden.View(prefix + "dequantized").ToFloats();
            Assert.Equal(0, ReportEqual("dequantised values", expected.Zip(values).Count(pair => pair.First == pair.Second), values.Length));
        }
    }

    private static int ReportEqual(string what, int equal, int cases) => Parity.ReportExact("nf4", File, what, equal, cases);

    private static int CodeAt(byte[] packed, int i) => i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;

    private float[] Floats(string name) => _golden.View(name).ToFloats();

    private byte[] Bytes(string name) => _golden.View(name).AsSpan<byte>().ToArray();
}
