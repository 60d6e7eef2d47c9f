using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>Adapters that single sequences of a batch choose.</summary>
public sealed class AdapterChoiceTests
{
    private const string Image = "validation-public/Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg";

    private static readonly string[] Names = ["all_linear_r8", "qv_list_r4"];

    [Fact]
    public void Every_sequence_of_a_batch_gets_what_its_adapter_alone_gives_bit_for_bit()
    {
        using var embedded = new EmbeddedModel();
        int[] ids = LogitsGoldenTests.Ids(GoldenTensors.Load(Goldens.Path("model/text_long.safetensors"))["input_ids"])[..24];
        float[] plain = embedded.Run([ids], []).Logits;
        float[][] expected = [.. Names.Select(name =>
        {
            using LoraAdapter only = LoraAdapter.Load(Goldens.Path("adapters/" + name), embedded.Model);
            return embedded.Run([ids], []).Logits;
        })];

        using (LoraAdapter first = LoraAdapter.LoadChoice(Goldens.Path("adapters/" + Names[0]), embedded.Model))
        using (LoraAdapter second = LoraAdapter.LoadChoice(Goldens.Path("adapters/" + Names[1]), embedded.Model))
        {
            float[][] logits = Run(embedded, ids, [first, null, second, second, first]);

            Assert.Equal([expected[0], plain, expected[1], expected[1], expected[0]], logits);
            Assert.NotEqual(plain, logits[0]);
            Assert.NotEqual(logits[0], logits[2]);
        }

        Assert.Equal(plain, Run(embedded, ids, [null])[0]);
    }

    [Fact]
    public void A_picture_is_seen_through_the_adapter_chosen_for_it()
    {
        using var embedded = new EmbeddedModel();
        float[] pixels = EmbeddedModel.Pixels(Image);
        float[] Features(LoraAdapter? adapter)
        {
            embedded.Arena.Reset();
            return ImageEncoding.Encode(embedded.Model, [pixels], embedded.Arena, adapter).ToFloats();
        }

        float[] plain = Features(null), expected;
        using (LoraAdapter only = LoraAdapter.Load(Goldens.Path("adapters/all_linear_r8"), embedded.Model))
        {
            Assert.True(only.AdaptsVision);
            expected = Features(null);
        }

        using LoraAdapter choice = LoraAdapter.LoadChoice(Goldens.Path("adapters/all_linear_r8"), embedded.Model);
        Assert.Equal(expected, Features(choice));
        Assert.Equal(plain, Features(null));
        Assert.NotEqual(plain, expected);
    }

    [Fact]
    public void An_adapter_that_rescales_whole_weights_cannot_be_chosen()
    {
        using var embedded = new EmbeddedModel();
        var error = Assert.Throws<CheckpointException>(() => LoraAdapter.LoadChoice(Goldens.Path("adapters/dora_r4"), embedded.Model));
        Assert.Contains("gemmacore merge", error.Message, StringComparison.Ordinal);
    }

    private static float[][] Run(EmbeddedModel embedded, int[] ids, LoraAdapter?[] adapters)
    {
        embedded.Arena.Reset();
        var batch = new TokenBatch();
        foreach (LoraAdapter? adapter in adapters) batch.Add(ids, embedded.Model.ImageTokenId, null, adapter: adapter);
        float[] logits = embedded.Logits(embedded.Model.Forward(batch, embedded.Arena, null));
        return [.. logits.Chunk(logits.Length / adapters.Length)];
    }
}
