using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>The embedded model with its linear layers in NF4 and int8, quantised here and by bitsandbytes.</summary>
public sealed class QuantizedGoldenTests
{
    // The manifest's tolerance, relative to the largest magnitude.
    private const double Allowed = 2e-4;
    private const string Image = "validation-public/CT/phantom_liver/imagesVal/phantom_liver_0000.jpg";
    private static readonly string Checkpoint = Goldens.Path("nf4/checkpoint");

    public static TheoryData<string, WeightFormat, bool> Cases => new()
    {
        { "nf4/logits_plain", WeightFormat.Nf4Plain, false },
        { "nf4/logits_nested", WeightFormat.Nf4, false },
        { "nf4/logits_nested", WeightFormat.AsStored, true },
        { "int8/logits", WeightFormat.Int8, false },
    };

    public static IEnumerable<(string Device, (string Golden, WeightFormat Format) Case)> CardCases =>
        TestDevices.Spread([("nf4/logits_nested", WeightFormat.Nf4), ("int8/logits", WeightFormat.Int8)]).Where(row => row.Device != "cpu");

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_equal_those_of_the_python_stack(string golden, WeightFormat format, bool prequantised)
    {
        Dictionary<string, GoldenTensor> expected = GoldenTensors.Load(Goldens.Path($"{golden}.safetensors"));
        using var embedded = new EmbeddedModel(prequantised ? Checkpoint : null, format: format);

        (_, float[] logits) = embedded.Run([Ids(expected)], [Image]);

        double error = Tolerance.RelativeError(logits, expected["logits"].Floats);
        string what = prequantised ? "logits of bitsandbytes' own checkpoint" : $"logits, quantised at load ({format})";
        Assert.InRange(Parity.Report(golden[..golden.IndexOf('/', StringComparison.Ordinal)], $"{golden}.safetensors", what, error, Allowed), 0, Allowed);
    }

    // The golden is fp32 arithmetic; how far a card's own type may move logits of a prompt with one image is recorded for another one. There only the
    // activations were rounded (bf16 weights are what they are in either type), here the dequantised weights are as well: two errors of the same size.
    [Theory]
    [MemberData(nameof(CardCases))]
    public void Logits_on_a_card_stay_within_the_floor_of_its_precision(string device, (string Golden, WeightFormat Format) item)
    {
        Dictionary<string, GoldenTensor> expected = GoldenTensors.Load(Goldens.Path($"{item.Golden}.safetensors"));
        using var embedded = new EmbeddedModel(device: device, format: item.Format);

        (_, float[] logits) = embedded.Run([Ids(expected)], [Image]);

        var floor = PrecisionFloor.Of(embedded.Device, "one_image_phantom_brain");
        string topic = item.Golden[..item.Golden.IndexOf('/', StringComparison.Ordinal)], file = $"{item.Golden}.safetensors", where = $"logits on a simulated card, {embedded.Device.PrecisionPath}";
        double largest = Math.Sqrt(2) * floor.Largest, rms = Math.Sqrt(2) * floor.RootMeanSquare;
        Assert.InRange(Parity.Report(topic, file, $"{where} (absolute)", Distance.Largest(logits, expected["logits"].Floats), largest), 0, largest);
        Assert.InRange(Parity.Report(topic, file, $"{where} (rms)", Distance.RootMeanSquare(logits, expected["logits"].Floats), rms), 0, rms);
    }

    // No golden has this format: its weights must be the dense ones within half a step of their group, and its logits those of these weights.
    [Fact]
    public void Groups_of_128_are_the_model_of_their_dequantised_weights()
    {
        int[] ids = Ids(GoldenTensors.Load(Goldens.Path("int8/logits.safetensors")));
        using EmbeddedModel dense = new(), embedded = new(format: WeightFormat.Int8Group);
        float[] groups = embedded.Run([ids], [Image]).Logits;
        var owned = new List<DeviceBuffer>();
        foreach ((Linear layer, Linear original) in embedded.Model.Linears.Zip(dense.Model.Linears))
        {
            float[] values = layer.Weight.ToFloats(), exact = original.Weight.ToFloats();
            for (int row = 0; row < layer.OutputSize; row++)
            {
                for (int first = 0; first < layer.InputSize; first += 128)
                {
                    int at = row * layer.InputSize + first, count = Math.Min(128, layer.InputSize - first);
                    // A scale is rounded up to fp16: by less than a thousandth, or by the smallest fp16 number.
                    double step = exact.AsSpan(at, count).ToArray().Max(Math.Abs) / 127.0, allowed = Math.Max(step * (1 + 1e-3), step + 6e-8) / 2;
                    for (int i = at; i < at + count; i++) Assert.True(Math.Abs(values[i] - exact[i]) <= allowed, $"{layer.Path}: {values[i]} for {exact[i]}, step {step}");
                }
            }

            owned.Add(DeviceBuffer.Of(embedded.Device, layer.Weight.Shape, values));
            layer.ReplaceWeight(new DenseMatrix(owned[^1].View));
        }

        Assert.InRange(Tolerance.RelativeError(groups, embedded.Run([ids], [Image]).Logits), 0, Allowed);
        owned.ForEach(buffer => buffer.Dispose());
    }

    [Fact]
    public void What_is_quantised_at_load_is_what_bitsandbytes_saved()
    {
        using var ours = new EmbeddedModel(format: WeightFormat.Nf4);
        using var theirs = new EmbeddedModel(Checkpoint);
        int equal = ours.Model.Linears.Zip(theirs.Model.Linears).Count(pair =>
            ((Nf4Matrix)pair.First.Weight).Codes.AsSpan<byte>().SequenceEqual(((Nf4Matrix)pair.Second.Weight).Codes.AsSpan<byte>()));
        Parity.ReportExact("nf4", "nf4/checkpoint/", "matrices whose codes are those of bitsandbytes when quantised at load", equal, ours.Model.Linears.Count);
        foreach ((Linear our, Linear their) in ours.Model.Linears.Zip(theirs.Model.Linears))
        {
            var a = Assert.IsType<Nf4Matrix>(our.Weight);
            var b = Assert.IsType<Nf4Matrix>(their.Weight);
            Assert.True(a.Codes.AsSpan<byte>().SequenceEqual(b.Codes.AsSpan<byte>()), $"{our.Path}: codes differ");
            Assert.True(a.Absmax.Scales.ToFloats().Zip(b.Absmax.Scales.ToFloats()).All(pair => Math.Abs(pair.First - pair.Second) <= 1e-6f * pair.Second), $"{our.Path}: scales differ");
            // An ulp of the mean (torch sums in fp32) may move a magnitude that lies on the limit between two codes.
            int different = a.Absmax.Values.AsSpan<byte>().ToArray().Zip(b.Absmax.Values.AsSpan<byte>().ToArray()).Count(pair => pair.First != pair.Second);
            Assert.True(different <= a.Absmax.BlockCount / 100, $"{our.Path}: {different} of {a.Absmax.BlockCount} magnitudes differ");
        }
    }

    [Fact]
    public void Quantised_weights_take_the_memory_that_their_format_says()
    {
        using var embedded = new EmbeddedModel(format: WeightFormat.Nf4);
        double elements = embedded.Model.Linears.Sum(layer => layer.Weight.Shape.ElementCount), bytes = embedded.Model.Linears.Sum(layer => layer.Weight.ByteCount);
        // Half a byte, an 8-bit magnitude for 64, its scale for 16384, and a table of a kibibyte for each of these small matrices.
        Assert.InRange((bytes - 1024 * embedded.Model.Linears.Count) / elements, 0.5156, 0.5175);
    }

    private static int[] Ids(Dictionary<string, GoldenTensor> golden) => [.. golden["input_ids"].Floats.Select(id => (int)id)];
}
