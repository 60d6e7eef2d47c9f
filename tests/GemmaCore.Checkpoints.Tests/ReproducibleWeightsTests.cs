using CsCheck;

namespace GemmaCore.Checkpoints.Tests;

public sealed class ReproducibleWeightsTests
{
    [Fact]
    public void The_check_values_of_the_specification_come_out()
    {
        double[] expected = [0.6705318093299866, 0.22916942834854126, 0.903333842754364, 0.9772796034812927];
        Assert.Equal(expected, Enumerable.Range(0, 4).Select(i => ReproducibleWeights.Uniform("a.weight", 0, i)));
    }

    [Fact]
    public void Filling_any_piece_gives_the_formula_rounded_once() =>
        Gen.Select(Gen.ULong, Gen.Long[0, 1L << 40], Gen.Int[0, 70], Gen.Double[0.001, 2], Gen.Double[-1, 1]).Sample((seed, start, count, a, b) =>
        {
            var values = new float[count];
            ReproducibleWeights.Fill("model.norm.weight", seed, a, b, start, values);
            for (int i = 0; i < count; i++)
                Assert.Equal((float)((2 * ReproducibleWeights.Uniform("model.norm.weight", seed, start + i) - 1) * a + b), values[i]);
        });

    [Theory]
    [InlineData("vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias", new[] { 4304 }, false, 0.02, 0)]
    [InlineData("vision_tower.vision_model.encoder.layers.0.layer_norm1.weight", new[] { 1152 }, false, 0.1, 1)]
    [InlineData("vision_tower.vision_model.encoder.layers.0.layer_norm2.bias", new[] { 1152 }, false, 0.02, 0)]
    [InlineData("vision_tower.vision_model.post_layernorm.weight", new[] { 1152 }, false, 0.1, 1)]
    [InlineData("vision_model.pre_layrnorm.weight", new[] { 1024 }, false, 0.1, 1)]
    [InlineData("language_model.model.layers.0.post_attention_layernorm.weight", new[] { 2560 }, false, 0.1, 0)]
    [InlineData("language_model.model.layers.0.self_attn.q_norm.weight", new[] { 256 }, false, 0.1, 0)]
    [InlineData("language_model.model.norm.weight", new[] { 2560 }, false, 0.1, 0)]
    [InlineData("multi_modal_projector.mm_soft_emb_norm.weight", new[] { 1152 }, false, 0.1, 0)]
    [InlineData("model.layers.0.post_attention_layernorm.weight", new[] { 2048 }, true, 0.1, 1)]
    [InlineData("model.norm.weight", new[] { 2048 }, true, 0.1, 1)]
    [InlineData("language_model.model.embed_tokens.weight", new[] { 262208, 2560 }, false, 0.034641016151377546, 0)]
    [InlineData("vision_model.embeddings.position_embedding.weight", new[] { 257, 1024 }, false, 0.034641016151377546, 0)]
    [InlineData("vision_model.embeddings.class_embedding", new[] { 1024 }, false, 0.034641016151377546, 0)]
    [InlineData("multi_modal_projector.mm_input_projection_weight", new[] { 1152, 2560 }, false, 0.05103103630798288, 0)]
    [InlineData("language_model.model.layers.0.self_attn.q_proj.weight", new[] { 2048, 2560 }, false, 0.034232659844072884, 0)]
    [InlineData("vision_model.embeddings.patch_embedding.weight", new[] { 1024, 3, 14, 14 }, false, 0.07142857142857142, 0)]
    [InlineData("lm_head.weight", new[] { 32000, 2048 }, true, 0.038273277230987156, 0)]
    public void Each_kind_of_tensor_has_its_interval(string name, int[] sizes, bool llama, double a, double b)
    {
        (double actualA, double actualB) = ReproducibleWeights.IntervalOf(name, sizes, llama);
        Assert.Equal(a, actualA, 1e-15);
        Assert.Equal(b, actualB);
    }
}
