using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>What <c>gemmacore bench</c> can time, by name: every operation, and whole models with random weights.</summary>
public static class Benchmarks
{
    private static readonly Dictionary<string, Action<Stopclock>> Operations = new()
    {
        ["matmul"] = MatmulBench.Run,
        ["matmul_nf4"] = MatmulNf4Bench.Run,
        ["matmul_int8"] = MatmulInt8Bench.Run,
        ["matmul_int8_group"] = MatmulInt8GroupBench.Run,
        ["lora"] = LoraBench.Run,
        ["matmul_lora"] = MatmulLoraBench.Run,
        ["attention"] = AttentionBench.Run,
        ["linear_cross_entropy"] = LinearCrossEntropyBench.Run,
        ["rms_norm"] = RmsNormBench.Run,
        ["add_rms_norm"] = AddRmsNormBench.Run,
        ["rms_norm_rope"] = RmsNormRopeBench.Run,
        ["layer_norm"] = LayerNormBench.Run,
        ["rope"] = RopeBench.Run,
        ["add"] = AddBench.Run,
        ["glu"] = GluBench.Run,
        ["activate"] = ActivateBench.Run,
        ["embedding"] = EmbeddingBench.Run,
        ["gather_rows"] = GatherRowsBench.Run,
        ["scatter_rows"] = ScatterRowsBench.Run,
        ["patch_embed"] = PatchEmbedBench.Run,
        ["average_pool"] = AveragePoolBench.Run,
        ["scale_columns"] = ScaleColumnsBench.Run,
        ["adamw_update"] = AdamwUpdateBench.Run,
        ["sum_of_squares"] = SumOfSquaresBench.Run,
        ["top_k"] = TopKBench.Run,
    };

    public static IEnumerable<string> OperationNames => Operations.Keys;

    /// <summary>A model's name may end in weight formats: medgemma-4b:nf4:head8.</summary>
    public static bool Knows(string name) => Operations.ContainsKey(name) || ModelBench.Knows(name);

    /// <summary>Times the named operations and models in their order; all operations where nothing is named.</summary>
    /// <param name="names">Each of them known.</param>
    /// <param name="clock">What times them, on which device, for which report.</param>
    /// <param name="training">Training steps of models as well.</param>
    /// <param name="complain">Told of each that failed; the others go on, because a machine may be lent for minutes.</param>
    /// <returns>How many failed.</returns>
    /// <exception cref="OperationCanceledException">Cancelled between two cases.</exception>
    public static int Run(IReadOnlyCollection<string> names, Stopclock clock, bool training, Action<string> complain)
    {
        int failures = 0;
        using var models = new RandomModels(clock);
        foreach (string name in names.Count == 0 ? Operations.Keys : names)
        {
            if (Operations.TryGetValue(name, out Action<Stopclock>? run)) Try(name, () => run(clock));
            else Try(name, () => ModelBench.Run(name, models, clock, training));
        }

        return failures;

        void Try(string name, Action run)
        {
            try
            {
                run();
            }
            catch (Exception problem) when (problem is InvalidOperationException or CudaException or ShapeException)
            {
                failures++;
                complain($"{name}: {problem.Message}");
            }
            finally
            {
                clock.Report.Save();
            }
        }
    }
}
