using TorchSharp;
using static TorchSharp.torch;

/// <summary>
/// Gemma 3 text shape `mini`: 8 layers, hidden 640, feed-forward 2048, 4 query heads and 1 key/value head of 256, vocabulary 32768, tied
/// embedding; fp32; the base frozen, rank-16 LoRA on the seven linear layers of each block.
/// </summary>
internal sealed class MiniModel
{
    public const int Vocabulary = 32768;
    private const int Layers = 8, Hidden = 640, Intermediate = 2048, Heads = 4, HeadDim = 256;
    private const double Eps = 1e-6;

    private readonly Tensor _embedding = randn(Vocabulary, Hidden) * 0.02;
    private readonly Block[] _blocks = [.. Enumerable.Range(0, Layers).Select(_ => new Block())];
    private readonly Tensor _norm = zeros(Hidden);

    public IEnumerable<TorchSharp.Modules.Parameter> Trainable => _blocks.SelectMany(b => b.Linears).SelectMany(l => new[] { l.A, l.B });

    public Tensor Forward(Tensor ids)
    {
        long length = ids.shape[0];
        Tensor x = _embedding.index_select(0, ids) * Math.Sqrt(Hidden);
        Tensor angle = outer(arange(length, float32), pow(10000.0, arange(0, HeadDim, 2, float32) / -HeadDim));
        Tensor angles = cat([angle, angle], -1), cos = angles.cos(), sin = angles.sin();
        foreach (Block block in _blocks) x = block.Forward(x, cos, sin);
        return matmul(RmsNorm(x, _norm), _embedding.t());
    }

    private static Tensor RmsNorm(Tensor x, Tensor w) => x * rsqrt(x.pow(2).mean([-1], keepdim: true) + Eps) * (1 + w);

    // x [heads, length, head dim]
    private static Tensor Rope(Tensor x, Tensor cos, Tensor sin)
    {
        Tensor[] halves = x.chunk(2, -1);
        return x * cos + cat([-halves[1], halves[0]], -1) * sin;
    }

    private sealed class Block
    {
        private readonly LoraLinear _q = new(Hidden, Heads * HeadDim), _k = new(Hidden, HeadDim), _v = new(Hidden, HeadDim), _o = new(Heads * HeadDim, Hidden);
        private readonly LoraLinear _gate = new(Hidden, Intermediate), _up = new(Hidden, Intermediate), _down = new(Intermediate, Hidden);
        private readonly Tensor _in = zeros(Hidden), _postAttention = zeros(Hidden), _preMlp = zeros(Hidden), _postMlp = zeros(Hidden);
        private readonly Tensor _qNorm = zeros(HeadDim), _kNorm = zeros(HeadDim);

        public IEnumerable<LoraLinear> Linears => [_q, _k, _v, _o, _gate, _up, _down];

        public Tensor Forward(Tensor x, Tensor cos, Tensor sin)
        {
            long length = x.shape[0];
            Tensor h = RmsNorm(x, _in);
            Tensor q = Rope(RmsNorm(_q.Forward(h).view(length, Heads, HeadDim), _qNorm).transpose(0, 1), cos, sin);
            Tensor k = Rope(RmsNorm(_k.Forward(h).view(length, 1, HeadDim), _kNorm).transpose(0, 1), cos, sin);
            Tensor v = _v.Forward(h).view(length, 1, HeadDim).transpose(0, 1);
            Tensor a = nn.functional.scaled_dot_product_attention(
                q.unsqueeze(0), k.expand(Heads, -1, -1).unsqueeze(0), v.expand(Heads, -1, -1).unsqueeze(0), is_casual: true);
            Tensor o = _o.Forward(a.squeeze(0).transpose(0, 1).reshape(length, Heads * HeadDim));
            x = x + RmsNorm(o, _postAttention);
            h = RmsNorm(x, _preMlp);
            Tensor m = _down.Forward(nn.functional.gelu(_gate.Forward(h), TorchSharp.Modules.GELU.Approximate.tanh) * _up.Forward(h));
            return x + RmsNorm(m, _postMlp);
        }
    }

    internal sealed class LoraLinear(int inputs, int outputs)
    {
        private const int Rank = 16;
        private const double Scale = 1;
        private readonly Tensor _w = randn(outputs, inputs) * 0.02;

        public TorchSharp.Modules.Parameter A { get; } = new(randn(Rank, inputs) * 0.02);

        public TorchSharp.Modules.Parameter B { get; } = new(zeros(outputs, Rank));

        public Tensor Forward(Tensor x) => nn.functional.linear(x, _w) + Scale * nn.functional.linear(nn.functional.linear(x, A), B);
    }
}
