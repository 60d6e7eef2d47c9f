// Prefill of 512 tokens and decoding behind them in llama.cpp (LLamaSharp's CPU backend), timed. Arguments: shape, format, rounds (default 3).
// LLamaSharp takes its AVX2 build where .NET spares a processor 512 bits (Cascade Lake); here llama.cpp gets AVX-512 wherever the processor has it, unless PEER_AVX2=1.
// Formats: bf16, q8_0, q4_0 (embeddings and head in q8_0), q4_0-all. Prints min, median, max tokens/s of both; decoding is timed token by token.
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using LLama;
using LLama.Common;
using LLama.Native;

const int Prompt = 512, Answer = 32;
if (args is not [string shape, string format, .. string[] rest])
{
    Console.Error.WriteLine("usage: LLamaSharpPeer SHAPE bf16|q8_0|q4_0|q4_0-all [ROUNDS]");
    return 2;
}

int rounds = rest.Length > 0 ? int.Parse(rest[0]) : 3;
(GgmlType linear, GgmlType table) = format switch
{
    "bf16" => (GgmlType.BF16, GgmlType.BF16),
    "q8_0" => (GgmlType.Q8_0, GgmlType.Q8_0),
    "q4_0" => (GgmlType.Q4_0, GgmlType.Q8_0),
    "q4_0-all" => (GgmlType.Q4_0, GgmlType.Q4_0),
    _ => throw new ArgumentException($"no format is called {format}"),
};
string path = Path.Combine(Path.GetTempPath(), $"peer-{Environment.ProcessId}.gguf");
try
{
    var sizes = Gemma3Shape.Find(shape);
    sizes.Write(path, linear, table);
    bool wide = Avx512F.IsSupported && Environment.GetEnvironmentVariable("PEER_AVX2") != "1";
    NativeLibraryConfig.All.WithAvx(wide ? AvxLevel.Avx512 : AvxLevel.Avx2);
    NativeLibraryConfig.All.WithLogCallback((level, message) => { if (level >= LLamaLogLevel.Error && level != LLamaLogLevel.Continue) Console.Error.Write(message); });
    int threads = Environment.ProcessorCount;
    var parameters = new ModelParams(path) { ContextSize = 1024, BatchSize = Prompt, UBatchSize = Prompt, Threads = threads, BatchThreads = threads, GpuLayerCount = 0 };
    using LLamaWeights weights = LLamaWeights.LoadFromFile(parameters);
    List<double> prefill = [], decode = [];
    for (int round = -1; round < rounds; round++)
    {
        // A new context: an empty cache.
        using LLamaContext context = weights.CreateContext(parameters);
        var random = new Random(1);
        int Token() => random.Next(1000, 30000);
        var batch = new LLamaBatch();
        for (int i = 0; i < Prompt; i++) batch.Add(Token(), i, LLamaSeqId.Zero, i == Prompt - 1);
        double seconds = Time(context, batch);
        if (round >= 0) prefill.Add(Prompt / seconds);
        for (int i = 0; i < Answer; i++)
        {
            batch.Clear();
            batch.Add(Token(), Prompt + i, LLamaSeqId.Zero, true);
            seconds = Time(context, batch);
            if (round >= 0) decode.Add(1 / seconds);
        }
    }

    Console.WriteLine($"llama.cpp (LLamaSharp 0.30.0), {threads} threads, {shape}, {format}, {weights.SizeInBytes / 1e9:0.00} GB, {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC");
    Console.WriteLine(Marshal.PtrToStringUTF8(NativeApi.llama_print_system_info()));
    Print("prefill 512", prefill);
    Print("decode at 512", decode);
    return 0;
}
finally
{
    File.Delete(path);
}

static double Time(LLamaContext context, LLamaBatch batch)
{
    long start = Stopwatch.GetTimestamp();
    DecodeResult result = context.Decode(batch);
    context.NativeHandle.Synchronize();
    double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
    if (result != DecodeResult.Ok) throw new InvalidOperationException($"llama_decode: {result}");
    float logit = context.NativeHandle.GetLogitsIth(batch.TokenCount - 1)[0];
    if (!float.IsFinite(logit)) throw new InvalidOperationException("llama.cpp's logits are no numbers");
    return seconds;
}

static void Print(string what, List<double> figures)
{
    figures.Sort();
    Console.WriteLine($"{what}: min {figures[0]:0.0}, median {figures[figures.Count / 2]:0.0}, max {figures[^1]:0.0} tokens/s");
}
