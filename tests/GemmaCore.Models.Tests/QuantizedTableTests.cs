using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>Embeddings and head in rows of 8 bits: the lookup, the logits, and what is done with them by others.</summary>
public sealed class QuantizedTableTests
{
    private static readonly int[] Ids = [2, 10, 390, 293, 14, 700, 546];

    public static TheoryData<string> Devices => [.. TestDevices.Cards(2).Prepend("cpu")];

    // A model that holds what the codes stand for as plain elements must say the same: the format changes where numbers are widened, not what is computed.
    [Theory]
    [MemberData(nameof(Devices))]
    public void Logits_are_those_of_the_dequantised_table(string device)
    {
        float[] expected, logits;
        using (var dense = new EmbeddedModel(device: device))
        {
            using var quantised = new EmbeddedModel(tables: WeightFormat.Int8);
            using DeviceBuffer values = DeviceBuffer.Of(dense.Device, dense.Model.Head.Shape, quantised.Model.Head.ToFloats());
            Assert.True(dense.Model.TryReplace(LanguageModel.EmbeddingsName, new DenseMatrix(values.View), out _));
            Assert.True(dense.Model.TryReplace(LanguageModel.HeadName, new DenseMatrix(values.View), out _));
            expected = dense.Run([Ids], []).Logits;
        }

        PrecisionFloor floor;
        using (var quantised = new EmbeddedModel(device: device, tables: WeightFormat.Int8))
        {
            Assert.Same(quantised.Model.Embeddings, quantised.Model.Head);
            logits = quantised.Run([Ids], []).Logits;
            if (quantised.Device is CpuDevice)
            {
                // Sums of few rows come before their scale, in another order than those of plain elements.
                Assert.InRange(Tolerance.RelativeError(logits, expected), 0, 1e-5);
                return;
            }

            floor = PrecisionFloor.Of(quantised.Device, "text_short");
        }

        Assert.InRange(Distance.Largest(logits, expected), 0, floor.Largest);
    }

    // A code is off by at most half a step of its row: absmax / 254 for each element, so a logit by that times the sum of the magnitudes of h.
    [Fact]
    public void A_logit_moves_by_no_more_than_half_a_step_of_its_row()
    {
        using EmbeddedModel dense = new(), quantised = new(tables: WeightFormat.Int8);
        (float[] hidden, float[] expected) = dense.Run([Ids], []);
        int width = dense.Model.Layout.HiddenSize, vocabulary = dense.Model.Layout.VocabularySize;
        using DeviceBuffer same = DeviceBuffer.Of(quantised.Device, new Shape(Ids.Length, width), hidden);
        float[] logits = quantised.Logits(same.View), absmax = Assert.IsType<Int8Matrix>(quantised.Model.Head).Absmax.ToFloats();
        double largest = 0;
        for (int row = 0; row < Ids.Length; row++)
        {
            double reach = hidden.Skip(row * width).Take(width).Sum(value => (double)Math.Abs(value));
            for (int token = 0; token < vocabulary; token++)
            {
                double step = reach * absmax[token] / 254, difference = Math.Abs(logits[row * vocabulary + token] - expected[row * vocabulary + token]);
                Assert.InRange(difference, 0, step * (1 + 1e-3) + Tolerance.Float32(width) * reach * absmax[token]);
                largest = Math.Max(largest, difference / step);
            }
        }

        Assert.True(largest > 0.01, "the head was not rounded at all");
    }

    [Fact]
    public void The_table_takes_a_byte_an_element_and_a_magnitude_a_row()
    {
        using var quantised = new EmbeddedModel(tables: WeightFormat.Int8);
        Shape shape = quantised.Model.Head.Shape;
        Assert.Equal(shape.ElementCount + 4 * shape[0], quantised.Model.Head.ByteCount);
    }

    [Fact]
    public void Such_a_model_is_not_merged_into_and_takes_no_other_format()
    {
        using var quantised = new EmbeddedModel(tables: WeightFormat.Int8);
        using LoraAdapter adapter = LoraAdapter.Load(Goldens.Path("adapters/qv_list_r4"), quantised.Model);
        string refusal = Assert.Throws<CheckpointException>(() => AdapterMerge.Write(quantised.Model, adapter, Goldens.DemoPath("model"), "nowhere")).Message;
        Assert.Contains("embeddings or head are held in int8", refusal, StringComparison.Ordinal);
        Assert.Contains("not Nf4", Assert.Throws<ArgumentException>(
            () => ModelFolder.Load(Goldens.DemoPath("model"), quantised.Device, WeightFormat.Nf4, WeightFormat.Nf4)).Message, StringComparison.Ordinal);
    }
}
